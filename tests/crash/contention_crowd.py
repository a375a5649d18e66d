"""Many processes at once, each a fork that begins with everything imported; some get signals after a while."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_SUBREAPER = 36
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_HANGS = 90.0
"""Seconds after which a process that was to end by itself is taken for one that never will. A change waits 30 s at most
for another's lock."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A signal, and when (monotonic): to the process alone or to all that it started and that stayed with it."""

    at: float
    number: int
    group: bool


@dataclass(slots=True)
class Running:
    pid: int
    kind: str
    words: tuple[str, ...]
    out: int
    err: int
    blows: list[Blow]
    began: float = field(default_factory=time.monotonic)
    struck: list[Blow] = field(default_factory=list)

    @property
    def signals(self) -> set[int]:
        return {blow.number for blow in self.struck}


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended: its exit code (-N for a signal), and what it printed."""

    process: Running
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.line}\n{self.out}{self.err}".rstrip()

    @property
    def line(self) -> str:
        began = self.process.began
        struck = self.process.struck
        blows = [f"{signal.Signals(b.number).name}{'+' if b.group else ''} {b.at - began:.3f}" for b in struck]
        return f"{began:.3f} [{' '.join(blows)}] {' '.join(self.process.words)}: {self.code}"


class Crowd:
    """What was started and has not ended. Orphans come to this process, so that it can wait for all of them."""

    def __init__(self) -> None:
        self._running: dict[int, Running] = {}
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)

    def of(self, kind: str) -> list[Running]:
        return [process for process in self._running.values() if process.kind == kind]

    def start(
        self,
        kind: str,
        words: Sequence[str],
        act: Callable[[], int],
        blows: Sequence[tuple[float, int, bool]] = (),
        user: str | None = None,
    ) -> int:
        """Starts a process that exits with what `act` gives, and gives its number. `blows` are (seconds from now,
        signal, group)."""
        null, out, err = os.open(os.devnull, os.O_RDONLY), os.memfd_create("out"), os.memfd_create("err")
        sys.stdout.flush()
        sys.stderr.flush()
        # What comes before the child has its own way with signals, waits for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        pid = os.fork()
        if pid == 0:
            _child(act, user, (null, out, err))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        os.close(null)
        now = time.monotonic()
        planned = [Blow(now + after, number, group) for after, number, group in sorted(blows)]
        self._running[pid] = Running(pid, kind, tuple(words), out, err, planned)
        return pid

    def ended(self) -> list[Ended]:
        """Strikes whose time has come, and gives those that have ended since the last time."""
        self._strike(time.monotonic())
        ended = []
        while (found := self._reap(os.WNOHANG)) is not None:
            if found[0] in self._running:
                ended.append(self._told(*found))
        return ended

    def wait(self, kind: str) -> list[Ended]:
        """Waits until none of this kind runs any more."""
        ended = []
        while self.of(kind):
            ended += self.ended()
            time.sleep(0.002)
        return ended

    def disperse(self) -> None:
        """Ends all, and waits for them and for every orphan."""
        for process in self._running.values():
            _strike(process, Blow(time.monotonic(), signal.SIGKILL, group=True))
        while (found := self._reap(0)) is not None:
            if found[0] in self._running:
                self._told(*found)

    def _strike(self, now: float) -> None:
        for process in self._running.values():
            while process.blows and process.blows[0].at <= now:
                _strike(process, process.blows.pop(0))

    def hanging(self) -> list[Running]:
        return [p for p in self._running.values() if time.monotonic() - p.began > _HANGS and p.kind == "command"]

    def _reap(self, how: int) -> tuple[int, int] | None:
        try:
            pid, status = os.waitpid(-1, how)
        except ChildProcessError:
            return None
        return (pid, status) if pid else None

    def _told(self, pid: int, status: int) -> Ended:
        process = self._running.pop(pid)
        return Ended(process, os.waitstatus_to_exitcode(status), _text(process.out), _text(process.err))


def _strike(process: Running, blow: Blow) -> None:
    """The process was not waited for yet, so its number is nobody else's. Its group is there once it has begun."""
    process.struck.append(blow)
    try:
        if blow.group:
            os.killpg(process.pid, blow.number)
            return
    except ProcessLookupError:
        pass
    os.kill(process.pid, blow.number)


def _child(act: Callable[[], int], user: str | None, streams: tuple[int, int, int]) -> None:
    code = 99
    try:
        os.setpgid(0, 0)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        os.umask(0o022)
        if user is not None:
            entry = pwd.getpwnam(user)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        code = act()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _text(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return os.fsdecode(file.read())
