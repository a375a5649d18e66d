"""Running one command of a site, from its start until nothing of it is left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

TIMED_OUT = 124
"""The exit code of a command that was stopped because its time was over."""

_LOOK_EVERY = 0.05
"""Seconds between two looks at what a command has printed."""
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from treeswap.commands.guard import main; main()"


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a command may see and change of SITE `site`, in a namespace of its own.

    `current` leads to `release`, a stage. Everything in `homes` (where versions are) is read-only but for the
    `writable` paths; what shows at the plain directories in `covered` is the stage's version beside each.
    """

    site: Path
    release: str
    homes: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    covered: Mapping[Path, Path] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {
            "site": str(self.site),
            "release": self.release,
            "homes": [str(path) for path in self.homes],
            "writable": [str(path) for path in self.writable],
            "covered": {str(live): str(version) for live, version in self.covered.items()},
        }


@dataclass(frozen=True, slots=True)
class Task:
    """A shell command with all that it takes to run it.

    `environment` is added to the caller's own; what it prints is appended to `log`, and `hear` gets each line. It
    inherits the descriptors in `inherits`. `timeout` is in seconds. With `lingers`, what it has left in the background
    goes on when it has ended; else that ends with it.
    """

    command: str
    directory: Path
    environment: Mapping[str, str]
    log: Path
    hear: Callable[[str], None]
    inherits: tuple[int, ...] = ()
    timeout: float | None = None
    lingers: bool = False
    confinement: Confinement | None = None


Runner = Callable[[Task], int]
"""Runs a task to its end; its exit code, 128 + N for a signal, `TIMED_OUT` where its time was over. `OSError` where it
could not be run."""


def run(task: Task) -> int:
    """A `Runner`. Whatever ends this call, or this process, ends the command: SIGTERM to its process group, and SIGKILL
    after a while."""
    import subprocess  # not at the top: most commands run none, and it is slow to import

    task.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    ours, theirs = -1, -1
    try:
        os.write(fd, f"$ {task.command}\n".encode(errors="surrogateescape"))
        with open(task.log, "rb") as printed:  # noqa: PTH123
            printed.seek(0, os.SEEK_END)
            # The guard reads nothing from this pipe: that it ends tells it that nobody waits any more.
            theirs, ours = os.pipe()
            guard = subprocess.Popen(
                _guarded(task), stdin=theirs, stdout=fd, stderr=fd, pass_fds=task.inherits, start_new_session=True
            )
            try:
                while True:
                    ended = _has_ended(guard, _LOOK_EVERY)
                    _tell(printed, task.hear, to_the_end=ended)
                    if ended:
                        return guard.returncode
            finally:
                os.close(ours)
                ours = -1
                guard.wait()
    finally:
        for open_fd in (fd, ours, theirs):
            if open_fd >= 0:
                os.close(open_fd)


def can_confine(confinement: Confinement) -> bool:
    """Whether this machine lets this user confine a command, found out by doing it."""
    import subprocess

    spec = json.dumps({"confinement": confinement.told()})
    done = subprocess.run(
        _program(spec), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def _guarded(task: Task) -> list[str]:
    """The additions go through env(1), so that the caller's own environment is inherited without being read here."""
    additions = [f"{key}={value}" for key, value in task.environment.items()]
    spec = {
        "arguments": ["/usr/bin/env", *additions, "/bin/sh", "-c", task.command],
        "directory": str(task.directory),
        "timeout": task.timeout,
        "lingers": task.lingers,
        "confinement": task.confinement and task.confinement.told(),
    }
    return _program(json.dumps(spec))


def _program(spec: str) -> list[str]:
    """The guard, found where this package is, also if that is a zip file."""
    return [sys.executable, "-I", "-S", "-c", _BOOT, str(Path(__file__).parents[2]), spec]


def _has_ended(guard: Any, within: float) -> bool:
    import subprocess

    try:
        guard.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tell(printed: IO[bytes], hear: Callable[[str], None], *, to_the_end: bool) -> None:
    """Passes on each line that has been printed since the last call; an unfinished one when nothing more will come."""
    while True:
        at, line = printed.tell(), printed.readline()
        if not line.endswith(b"\n") and not (line and to_the_end):
            printed.seek(at)
            return
        hear(line.rstrip(b"\r\n").decode(errors="replace"))
