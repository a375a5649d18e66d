"""Scenes with processes: a real supervisord, and two real programs of each release, one with a socket and a worker.

The supervisord and what it runs outlive the command that is killed. So a visitor asks all the time through
SITE/current/run, as a web server does, from before the command until after the last one that follows it.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import running
from .oracle import Answer, Broken
from .scenes import TREES, Scene, World

_PROGRAM = Path(__file__).parent / "answering.py"

CURRENT_ANSWERS = "what is current answers, with its own release, at every moment"
ONE_OF_EACH = "at most one instance of a process runs for each release"
NOTHING_ELSE = "after the next change only the processes of the current release run"


class ServedWorld(World):
    """A site with processes. Whenever the world is restored everything of it has been killed, as by a reboot, with the
    sockets still there; `recover` brings it up."""

    deploys_after = has_daemon = True
    boots = True
    """Whether everything is up when the command begins."""

    def settings(self) -> list[str]:
        program = shlex.join([sys.executable, "-I", "-S", str(_PROGRAM)])
        return [
            'process_manager = "supervisor"',
            "keep_releases = 1",
            'grace = "0s"',
            "[processes.web]",
            f'command = "{program} {{socket}}"',
            'tree = "apps"',
            "drain_timeout = 5",
            "[processes.queue]",
            f'command = "{program}"',
            'tree = "apps"',
            'stop = "first"',
        ]

    def save(self) -> None:
        self.clear()
        super().save()

    def restore(self) -> None:
        self.clear()
        super().restore()
        if self.boots and self.site.current is not None:
            self.did(*self.on_site("recover"))
            self.rests()

    def lose_daemon(self) -> None:
        self._lost.touch()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.site.private / "supervisor/supervisord.pid").read_text()), signal.SIGKILL)

    @property
    def _lost(self) -> Path:
        """It is there from when the daemon was killed until the world is restored."""
        return self.root / "lost"

    def clear(self) -> None:
        running.kill(self.site.root)

    # ------------------------------------------------------------ what is seen

    @contextmanager
    def visited(self) -> Iterator[None]:
        if self.site.current is None or not self.boots:
            yield
            return
        with Visitor(self._socket) as visitor:
            yield
        # What a daemon has left that was killed cannot be taken on by the next one: it is started anew.
        if (visitor.failures and not self._lost.exists()) or not visitor.answers:
            raise Broken(CURRENT_ANSWERS, f"{visitor.answers} answers, and {visitor.failures}")

    def at_once(self, words: tuple[str, ...], answer: Answer) -> None:
        self._one_of_each()
        if self._lost.exists():
            return  # until the next change
        if self.boots and self.site.current is not None:
            self._current_answers()
        ended = answer.code >= 0 and words[0] != "unadopt"
        if ended and "warning" not in answer.err:
            self._nothing_else(str(answer))

    def rests(self) -> None:
        self._one_of_each()
        if self.site.current is not None:
            running.until(self._current_is_up, "what is current runs")
            self._current_answers()
        self._nothing_else("")
        self._one_of_each()

    def may_stay(self, unit: str) -> bool:
        """Whether this unit of another release than the current one may run."""
        return False

    @property
    def _socket(self) -> Path:
        return self.site.root / "current/run/web.sock"

    def _wanted(self) -> set[str]:
        current = self.site.current
        if current is None:
            return set()
        run = self.site.records()[current]["run"] or current
        return {f"{name}-1@{run}" for name in ("web", "queue")}

    def _current_is_up(self) -> bool:
        try:
            return bool(ask(self._socket)) and set(running.units(self.site.root)) >= self._wanted()
        except OSError:
            return False

    def _current_answers(self) -> None:
        current = self.site.current
        assert current is not None
        run = self.site.records()[current]["run"] or current
        shows = (self.site.version(self.site.records()[current], "apps") / "f").read_text()
        try:
            told = ask(self._socket)
        except OSError as error:
            raise Broken(CURRENT_ANSWERS, f"{current}: {error!r}") from None
        if told != [shows, shows, shows, run]:
            raise Broken(CURRENT_ANSWERS, f"{current}, which is of version {shows}, is answered by {told}")

    def _nothing_else(self, told: str) -> None:
        others = set(running.units(self.site.root)) - self._wanted()
        if len(others) > 1 or not all(self.may_stay(unit) for unit in others):
            raise Broken(NOTHING_ELSE, f"these run, too: {sorted(others)}; {told}")

    def _one_of_each(self) -> None:
        several = {unit: number for unit, number in running.units(self.site.root).items() if number > 1}
        if several:
            raise Broken(ONE_OF_EACH, str(several))


def ask(path: Path) -> list[str]:
    """What a web server gets that connects now, in words. `OSError` where nobody answers, or only half."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(running.PATIENCE)
        line.connect(str(path))
        line.sendall(b"GET /up HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    head, _, body = answer.decode().partition("\r\n\r\n")
    if " 200 " not in head or len(body.split()) != 4:
        raise OSError(f"answered with {answer!r}")
    return body.split()


class Visitor:
    """Whoever asks again and again, in a process of its own: the sweep's has no threads. `failures` are known at the
    end of the block: what was not answered, or with files of two releases."""

    def __init__(self, path: Path) -> None:
        self._path, self.answers, self.failures = path, 0, list[str]()

    def __enter__(self) -> Visitor:
        self._told = os.memfd_create("visitor")
        over, self._over = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._over)
            os._exit(self._come(over))
        os.close(over)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._over)
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        assert code == 0, f"the visitor ended with {code}"
        with os.fdopen(self._told, "rb") as told:
            told.seek(0)
            self.answers, self.failures = json.loads(told.read())

    def _come(self, over: int) -> int:
        answers, failures = 0, []
        try:
            while not select.select([over], [], [], 0.01)[0]:
                try:
                    told = ask(self._path)
                    answers += 1
                    if len(set(told[:3])) != 1:
                        failures.append(f"an answer of several releases: {told}")
                except OSError as error:
                    failures.append(repr(error))
            os.write(self._told, json.dumps([answers, failures[:5]]).encode())
        except BaseException:
            return 1
        return 0


# ---------------------------------------------------------------- scenes


class WarmWorld(ServedWorld):
    """What served the release that was left last stays for a while."""

    def settings(self) -> list[str]:
        return ['keep_warm = "10m"', *super().settings()]

    def may_stay(self, unit: str) -> bool:
        return unit.startswith("web-1@")


class DownWorld(ServedWorld):
    """As after a reboot: nothing runs yet, and the sockets are there all the same."""

    boots = False


def _deploy(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    world.did(*world.configured("deploy", "2"))
    return world.configured("deploy", "3")


def _first(world: World) -> tuple[str, ...]:
    return world.configured("deploy", "1")


def _rollback(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    world.did(*world.configured("deploy", "2"))
    return world.on_site("rollback")


def _recover(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    return world.on_site("recover")


def _all(version: str | None) -> dict[str, str | None]:
    return dict.fromkeys(TREES, version)


SCENES = (
    Scene("served-deploy", _deploy, _all("2"), _all("3"), world=ServedWorld),
    Scene("served-warm", _deploy, _all("2"), _all("3"), world=WarmWorld),
    Scene("served-first", _first, _all(None), _all("1"), world=ServedWorld),
    Scene("served-rollback", _rollback, _all("2"), _all("1"), world=ServedWorld, repeats=False),
    Scene("served-recover", _recover, _all("1"), _all("1"), world=DownWorld),
)
"""Those with processes: deploys and a rollback while the release before serves, a first deploy, which starts the
supervisord, and what follows a boot."""
