"""A reader's hold on a release, kept by the kernel.

Promise: while a lease is held, by the process that took it or by any that inherited its descriptor, neither the release
nor its versions are removed or reused. It ends with the last of them, however they end.

A reader takes `leases/ID` shared, without waiting and without ever creating it, and only then looks whether the record
is still there. Whoever removes a release holds it exclusively from before the record goes until the files are gone. So
a reader that finds the record after it has the lease has both.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from . import durable
from .layout import Layout
from .release import Release, ReleaseId

_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
"""A FIFO in a lease's place is not waited for."""


class Lease:
    """A shared hold on one release; a context manager. `release` is what it holds."""

    def __init__(self, fd: int, release: Release) -> None:
        self.fd, self.release = fd, release

    def inherit(self) -> None:
        """Lets child processes, and a program that takes this one's place, inherit the lease."""
        os.set_inheritable(self.fd, True)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def make(layout: Layout, id: ReleaseId) -> int:
    """Makes the lease of a stage and holds it shared: a stage whose lease is held is never cleared."""
    fd = os.open(layout.lease(id), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        fcntl.flock(fd, fcntl.LOCK_SH)
    except BaseException:
        drop(layout, id, fd)
        raise
    return fd


def let_go(fd: int) -> None:
    """Ends this process's part in a lease."""
    os.close(fd)


def share(layout: Layout, id: ReleaseId) -> int | None:
    """Holds a lease shared; None where it is gone or being removed. The caller looks for the record afterwards."""
    return _flock(layout.lease(id), os.O_RDONLY, fcntl.LOCK_SH)


def exclude(layout: Layout, id: ReleaseId) -> int | None:
    """Holds a lease exclusively, as who removes a release must; None where somebody has it. A lease file that is gone
    is made anew."""
    return _flock(layout.lease(id), os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)


def is_held(layout: Layout, id: ReleaseId) -> bool:
    """Whether somebody holds the lease at this moment."""
    try:
        fd = os.open(layout.lease(id), os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def drop(layout: Layout, id: ReleaseId, fd: int) -> None:
    """Removes a lease that is held exclusively: the last thing that goes of a release."""
    durable.remove_file(layout.lease(id))
    os.close(fd)


def _flock(path: Path, flags: int, operation: int) -> int | None:
    try:
        fd = os.open(path, flags | _FLAGS, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
