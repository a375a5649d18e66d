"""What a run of the program gets replaced: calls of `durable` that are its last, writes that fall short, a disk that
fails from some moment on.

A patch is called in the process that is about to run the program. Those that count write the name of each call to a
file, so that the sweep knows how many there are.
"""

from __future__ import annotations

import errno
import inspect
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callers import callers
from treeswap import durable
from treeswap.durable import system
from treeswap.processes.supervisord import Supervisord

Patch = Callable[[], None]

_LOOKING = {"temporary_name", "is_temporary", "leads_through", "is_plain_directory"}
_STREAMS = (1, 2)
_MAKING = ("mkdir", "symlink", "link", "open", "write", "pwrite", "setxattr")
_CHANGING = (
    *_MAKING,
    *("rename", "unlink", "rmdir", "fsync", "ftruncate", "chmod", "fchmod", "chown", "fchown", "utime"),
)
STICKY = {"EROFS": _CHANGING, "EIO": _CHANGING, "ENOSPC": _MAKING, "EDQUOT": _MAKING}
"""What fails on a disk that has become read-only, has gone bad, or is full."""


class _Counter:
    """Counts calls from 1, and tells each to a file, if there is one."""

    def __init__(self, told: Path | None) -> None:
        self._fd = None if told is None else os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._write = os.write
        self.count = 0

    def next(self, name: str) -> int:
        self.count += 1
        if self._fd is not None:
            self._write(self._fd, f"{name}\n".encode())
        return self.count


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(number: int, *, after: bool = False, told: Path | None = None, die: Callable[[], None] = _die) -> Patch:
    """SIGKILL before (or after) the call with this number, of those of `durable`, those that start a program, and those
    that ask supervisord for a change. `die` is what happens instead."""

    def patch() -> None:
        counter = _Counter(told)

        def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                mine = counter.next(name) == number
                if mine and not after:
                    die()
                result = function(*args, **kwargs)
                if mine:
                    die()
                return result

            return call

        for name, function in inspect.getmembers(durable, inspect.isfunction):
            if name not in _LOOKING:
                call = wrapped(name, function)
                for module in callers(name):
                    setattr(module, name, call)
        for name in ("add", "sync"):
            setattr(durable.Barrier, name, wrapped(f"Barrier.{name}", getattr(durable.Barrier, name)))
        setattr(subprocess.Popen, "__init__", wrapped("Popen", subprocess.Popen.__init__))  # noqa: B010
        ask = Supervisord.call

        def asking(daemon: Supervisord, method: str, *arguments: object) -> Any:
            asked = ask if method.startswith("get") else wrapped(method, ask)
            return asked(daemon, method, *arguments)

        setattr(Supervisord, "call", asking)  # noqa: B010

    return patch


def _short(data: Any, share: int) -> Any:
    return memoryview(data)[: max(1, len(data) // share)]


def short_writes() -> None:
    """Every write takes a third of what it is given."""
    write, pwrite = os.write, os.pwrite
    os.write = lambda fd, data: write(fd, data if fd in _STREAMS else _short(data, 3))
    os.pwrite = lambda fd, data, offset: pwrite(fd, _short(data, 3), offset)


def torn_at(number: int, error: str | None = None, *, told: Path | None = None) -> Patch:
    """The write with this number takes half of what it is given; then the process dies, or the next write fails."""

    def patch() -> None:
        counter = _Counter(told)
        fails = False

        def wrapped(name: str, function: Callable[..., int]) -> Callable[..., int]:
            def call(fd: int, data: Any, *more: Any) -> int:
                nonlocal fails
                if fd in _STREAMS:
                    return function(fd, data, *more)
                if fails and error is not None:
                    fails = False
                    raise _os_error(error)
                if counter.next(name) != number:
                    return function(fd, data, *more)
                written = function(fd, _short(data, 2), *more)
                if error is None:
                    _die()
                fails = True
                return written

            return call

        os.write = wrapped("write", os.write)
        os.pwrite = wrapped("pwrite", os.pwrite)

    return patch


def failing_from(number: int, error: str, *, told: Path | None = None) -> Patch:
    """From the changing call with this number on, each one that such a disk refuses fails."""

    def patch() -> None:
        counter = _Counter(told)

        def refuse(name: str) -> None:
            if counter.next(name) >= number and name in STICKY[error]:
                raise _os_error(error)

        def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                makes = name != "open" or (len(args) > 1 and args[1] & os.O_CREAT)
                if makes and not (name == "write" and args[0] in _STREAMS):
                    refuse(name)
                return function(*args, **kwargs)

            return call

        for name in _CHANGING:
            setattr(os, name, wrapped(name, getattr(os, name)))
        # What goes to the C library directly.
        sync, exchange = durable.Barrier.sync, system.renameat2

        def syncing(barrier: durable.Barrier) -> None:
            refuse("fsync")
            sync(barrier)

        def exchanging(*args: Any) -> None:
            refuse("rename")
            exchange(*args)

        setattr(durable.Barrier, "sync", syncing)  # noqa: B010
        setattr(system, "renameat2", exchanging)  # noqa: B010

    return patch


def _os_error(error: str) -> OSError:
    number = getattr(errno, error)
    return OSError(number, os.strerror(number))
