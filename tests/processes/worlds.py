"""Where the contract is tried: each kind of manager, for each kind of user, on a machine on which it is at home."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from container import MANAGING, Container, fill
from placing.nobody import NOBODY
from treeswap.process import Process
from treeswap.processes import Unit
from treeswap.processes.supervisord import Supervisord
from treeswap.processes.unitfiles import escape
from treeswap.release import ReleaseId

from .calling import Caller

HERE = Path(__file__).parent
ODD = "a'b $X, -"
"""What the names of the sites and of their directories begin with."""
ONE, TWO = ReleaseId("20261122180101"), ReleaseId("20261122180102")
PATIENCE = 20.0


class World(ABC):
    """One user's site on one machine, and its manager, which another process calls: as that user, over there. Paths are
    those of the machine that the manager is on."""

    kind: str
    owner: int
    """The user id of who owns the site."""

    def __init__(self, room: Path, name: str) -> None:
        self.room, self.name = room, name
        self.site = room / self.name
        self.python = room / "environment/bin/python"
        self._caller: Caller | None = None

    # ------------------------------------------------------------ the manager

    def install(self, *processes: Process) -> None:
        self.call("install", processes)

    def start(self, unit: Unit) -> None:
        """Started, and answering."""
        self.call("start", unit)
        self.until(lambda: self.ask(unit, "pids"))

    def stop(self, unit: Unit, timeout: float = PATIENCE) -> None:
        self.call("stop", unit, timeout)

    def running(self) -> set[Unit]:
        return set(self.call("running"))

    def log(self, unit: Unit, lines: int = 20) -> list[str]:
        return list(self.call("log", unit, lines))

    def alive(self, pids: Collection[int]) -> set[int]:
        return set(self.call("alive", frozenset(pids)))

    def unit(self, release: ReleaseId = ONE, process: str = "web", instance: int = 1) -> Unit:
        return Unit(self.name, self.site, release, process, instance)

    def call(self, method: str, *arguments: object) -> Any:
        """What a manager, made for this one call, does. `Failed` where it did."""
        if self._caller is None:
            self._caller = self._new_caller()
        return self._caller.call(method, *arguments)

    def begin(self, method: str, *arguments: object) -> Callable[[], Any]:
        """As `call`, by a process of its own; gives what waits for the end of it."""
        return self._new_caller().begin(method, *arguments)

    def forget_caller(self) -> None:
        """The next call is made by another process."""
        if self._caller is not None:
            self._caller.end()
            self._caller = None

    def _new_caller(self) -> Caller:
        puppet, program = (str(self.room / name) for name in ("puppet.py", "program.py"))
        words = [str(self.python), puppet, self.kind, self.name, str(self.site), str(self.python), program]
        return Caller(self._command(*words))

    # ------------------------------------------------------------ the program

    def ask(self, unit: Unit, words: str) -> str:
        """What the program answers; nothing where there is none."""
        with self.asking(unit, words) as line, line.makefile() as answer:
            try:
                return answer.read()
            except ConnectionResetError:
                return ""

    def asking(self, unit: Unit, words: str) -> socket.socket:
        """A line to the program, which has been asked; closed where there is none."""
        line = socket.socket(socket.AF_UNIX)
        path = self.outside(self.site / "run" / unit.release / f"{unit.process}.{unit.instance}")
        fd = os.open(path.parent, os.O_PATH) if path.parent.is_dir() else -1
        try:  # by way of the directory's descriptor: the whole path may be too long
            line.connect(f"/proc/self/fd/{fd}/{path.name}")
            line.sendall(f"{words}\n".encode())
        except OSError:
            left, right = socket.socketpair()
            right.close()
            line.close()
            line = left
        finally:
            if fd >= 0:
                os.close(fd)
        return line

    def pids(self, unit: Unit) -> set[int]:
        """The program and its child, as it says itself; none where it does not answer."""
        return {int(word) for word in self.ask(unit, "pids").split()}

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)

    # ------------------------------------------------------------ the machine

    @abstractmethod
    def reboot(self) -> None:
        """The machine starts anew, with what is there for a boot."""

    @abstractmethod
    def left(self) -> list[str]:
        """What there is of the site's at the manager, outside of the site."""

    @abstractmethod
    def outside(self, path: Path) -> Path:
        """A path of the machine as it is here."""

    @abstractmethod
    def _command(self, *words: str) -> list[str]:
        """The words that run a command as the user of the site, on the machine."""

    def furnish(self, owner: int) -> None:
        """Makes the directory of the site."""
        site = self.outside(self.site)
        (site / ".treeswap").mkdir(parents=True)
        subprocess.run(["chown", "-R", f"{owner}:{owner}", str(site)], check=True)

    def clear(self) -> None:
        """Ends what the test started."""
        for unit in self.running():
            self.stop(unit, 0)
        self.call("at_boot", [])
        self.forget_caller()


class Hosted(World):
    """Supervisor here. `owner` is whose site it is, `user` who calls."""

    kind = "supervisor"

    def __init__(self, room: Path, number: int, *, owner: int, user: int) -> None:
        super().__init__(room, f"{ODD} {number}")
        self.owner, self.user = owner, user
        self.furnish(owner)

    def reboot(self) -> None:
        """Everything ends at once. What a cron job of @reboot would do follows."""
        pids = {self._daemon(), *(pid for unit in self.running() for pid in self.call("pids", unit))}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: not self.alive(pids))
        self.install()

    def left(self) -> list[str]:
        return [] if not Supervisord(self.site, []).is_up() else ["a daemon"]

    def becomes(self, user: int) -> None:
        """From here on another user calls."""
        self.forget_caller()
        self.user = user

    def end_daemon(self, number: int) -> None:
        pid = self._daemon()
        os.kill(pid, number)
        self.until(lambda: not self.alive({pid}))

    def outside(self, path: Path) -> Path:
        return path

    def clear(self) -> None:
        if Supervisord(self.site, []).is_up():
            super().clear()
            self.end_daemon(signal.SIGTERM)
        self.forget_caller()

    def _command(self, *words: str) -> list[str]:
        return [*become(self.user), *words]

    def _daemon(self) -> int:
        return int(Supervisord(self.site, []).call("getPID"))


class Contained(World):
    """Systemd in a container. `owner` is whose site it is, `user` who calls, where that is not root."""

    def __init__(self, container: Container, room: Path, number: int, *, owner: str, user: str | None) -> None:
        super().__init__(room, f"{ODD} 9%i {number}")
        self.kind = "systemd-user" if user else "systemd"
        self.container, self.user = container, user
        self.owner = int(container.run("id", "-u", owner))
        self.furnish(self.owner)

    def reboot(self) -> None:
        self.forget_caller()
        self.container.stop()
        self.container.start()

    def left(self) -> list[str]:
        configured = "/home/ana/.config/systemd/user" if self.user else "/etc/systemd/system"
        names = [path.name for path in self.outside(Path(configured)).rglob("treeswap-*")]
        return [name for name in names if name.startswith(f"treeswap-{escape(self.name)}")]

    def outside(self, path: Path) -> Path:
        return self.container.outside(path)

    def _command(self, *words: str) -> list[str]:
        return self.container.command(*words, user=self.user)


def put_programs(room: Path) -> None:
    """What every world of a machine has in its room, whose virtual environment is made."""
    fill(room / "environment", MANAGING)
    for name in ("program.py", "puppet.py"):
        shutil.copy(HERE / name, room)


def ordinary() -> int:
    """A user without rights; who runs the tests, where that is one."""
    return NOBODY if os.geteuid() == 0 else os.geteuid()


def become(user: int) -> list[str]:
    """What stands before a command that this user is to run."""
    if user == os.geteuid():
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
