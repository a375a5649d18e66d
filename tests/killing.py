"""Killing a process at its n-th change of the disk, or letting that change fail.

The child's own `os` functions that change anything are counted, and its SIGKILL, or the disk's error, comes just before
the n-th. Nothing of it is in the product.
"""

from __future__ import annotations

import errno
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from treeswap import durable
from treeswap.durable import system
from treeswap.errors import TreeswapError

CHANGING = [
    "write",
    "pwrite",
    "ftruncate",
    "rename",
    "replace",
    "link",
    "symlink",
    "unlink",
    "remove",
    "rmdir",
    "mkdir",
    "chmod",
    "fchmod",
    "chown",
    "fchown",
    "utime",
    "setxattr",
    "removexattr",
    "fsync",
    "copy_file_range",
]


class Counter:
    """Counts the changes; at number `fatal` the process dies. Their names go to `log`, one a line."""

    def __init__(self, fatal: int, log: int, *, fails: bool = False) -> None:
        self._left, self._log, self._write, self._fails = fatal, log, os.write, fails

    def change(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            if self._fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            os.kill(os.getpid(), signal.SIGKILL)
        self._write(self._log, f"{name}\n".encode())

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.change(name)
            return function(*args, **kwargs)

        return call

    def opening(self, function: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC):
                self.change("create")
            return function(path, flags, *args, **kwargs)

        return call

    def install(self) -> None:
        """For the rest of this process, which is a child made for it."""
        for name in CHANGING:
            setattr(os, name, self.counted(name, getattr(os, name)))
        os.open = self.opening(os.open)
        for owner, name in ((system, "renameat2"), (durable, "clone"), (durable.Barrier, "sync")):
            setattr(owner, name, self.counted(name, getattr(owner, name)))


def run_until(fatal: int, act: Callable[[], object], log: Path) -> bool:
    """Runs `act` in a child that dies before its change number `fatal` (0: never); whether it came to its end."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            Counter(fatal, fd).install()
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(fd)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the child failed; see its output"
    return True


def changes_of(act: Callable[[], object], log: Path) -> list[str]:
    """The names of all changes that `act` makes."""
    assert run_until(0, act, log)
    return log.read_text().splitlines()


def run_with_failure(number: int, act: Callable[[], object], log: Path) -> int:
    """Runs `act` in a child whose change of this number fails with EIO; the exit code of what it raises, or 0."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            Counter(number, fd, fails=True).install()
            act()
            code = 0
        except TreeswapError as error:
            traceback.print_exc()
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
