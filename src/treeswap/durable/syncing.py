"""Waiting until what was written, or named, is on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from . import system


def fsync_directory(path: Path) -> None:
    """Makes the entries of a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Barrier:
    """Makes all that was written to some filesystems durable, or says that it is not.

    Open it before the first byte is staged: the kernel reports a failed writeback only to descriptors that were open
    when it happened; a later one reports success over zeros.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        self._fds: dict[int, int] = {}
        for directory in directories:
            self.add(directory)

    def add(self, directory: Path) -> None:
        device = os.stat(directory).st_dev
        if device not in self._fds:
            self._fds[device] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Durable: everything written before, on each of the filesystems. An `OSError` is final: do not try again,
        discard what was written."""
        for fd in self._fds.values():
            system.syncfs(fd)

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __enter__(self) -> Barrier:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
