"""Who ends a unit, and who waits for that: two of one kind would remove each other's socket.

A process may take long to end, and `switch.lock` is not held so long: a rollback must not wait for it. So who ends one
claims it first, under `switch.lock`, by an exclusive flock on `run/ID/NAME.N.ending`; who starts it waits until nobody
has that.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack

from treeswap.errors import Failed
from treeswap.processes import Unit

from .core import Core

_POLL = 0.05
_MORE = 15.0
"""Seconds for which a process that was killed may take to be gone."""


def claimed(core: Core, unit: Unit, stack: ExitStack) -> bool:
    """Whether this unit is ours to end, until the stack is closed; somebody else may be ending it."""
    try:
        fd = _opened(core, unit, os.O_CREAT)
    except FileNotFoundError:
        return True  # its directory is gone, and with it whatever it could be started with
    stack.callback(os.close, fd)
    return _locked(fd, fcntl.LOCK_EX)


def wait_for_end(core: Core, unit: Unit, patience: float) -> None:
    """Returns when nobody ends this unit. `Failed` if somebody still does after `patience` seconds and some more."""
    try:
        fd = _opened(core, unit, 0)
    except FileNotFoundError:
        return
    try:
        deadline = time.monotonic() + patience + _MORE
        while not _locked(fd, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                raise Failed(f"{unit} is still ending", hint="try again when it has ended")
            time.sleep(_POLL)
    finally:
        os.close(fd)


def _opened(core: Core, unit: Unit, flags: int) -> int:
    path = core.layout.run(unit.release) / f"{unit.process}.{unit.instance}.ending"
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o644)


def _locked(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
