"""Who ends the processes of a release, and who waits for that: two of one kind would remove each other's socket.

Processes may take long to end, and `switch.lock` is not held so long: a rollback to a third release need not wait. So
who ends those of a release claims it first, under `switch.lock`, by an exclusive flock on `run/ID`; who starts some of
it waits until nobody does.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack

from treeswap.errors import Failed
from treeswap.release import ReleaseId

from .core import Core

_POLL = 0.05
_MORE = 15.0
"""Seconds for which a process that was killed may take to be gone."""


def claimed(core: Core, release: ReleaseId, stack: ExitStack) -> bool:
    """Whether the release's processes are ours to end, until the stack is closed; somebody else may be ending them."""
    fd = _opened(core, release)
    if fd is None:
        return True  # without a directory there are no sockets to be careful about
    stack.callback(os.close, fd)
    return _locked(fd, fcntl.LOCK_EX)


def wait_for_end(core: Core, release: ReleaseId, patience: float) -> None:
    """Returns when nobody ends the release's processes. `Failed` if somebody still does after `patience` seconds and
    some more."""
    fd = _opened(core, release)
    if fd is None:
        return
    try:
        deadline = time.monotonic() + patience + _MORE
        while not _locked(fd, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                raise Failed(f"the processes of {release} are still ending", hint="try again when they have ended")
            time.sleep(_POLL)
    finally:
        os.close(fd)


def _opened(core: Core, release: ReleaseId) -> int | None:
    try:
        return os.open(core.layout.run(release), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _locked(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
