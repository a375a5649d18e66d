"""Walking a tree by open directories.

Each directory is opened by its name in the one above, never following a symlink: no path is too long, and a link put
in the place of a directory leads nowhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from treeswap.manifest import joined

KEPT_OPEN = 32
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_root(directory: Path) -> int:
    """A descriptor of the directory that a walk begins at. This one may be reached through symlinks."""
    return os.open(directory, _FLAGS)


class Descent:
    """A way down from a directory, of any depth, with at most `KEPT_OPEN` + 1 descriptors.

    It owns the descriptor that it begins with. A directory above whose descriptor was closed is opened again as `..`,
    and has to be the same one.
    """

    def __init__(self, root_fd: int) -> None:
        self._fds: list[int] = [root_fd]  # the last ones of the way
        self._closed: list[tuple[int, int]] = []  # device and inode of those above them, from the top

    @property
    def fd(self) -> int:
        """The directory that this is at."""
        return self._fds[-1]

    def enter(self, name: bytes) -> int:
        """Goes down. `OSError`, and no move, if there is no such directory or a symlink has its name."""
        self._fds.append(os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=self.fd))
        if len(self._fds) > KEPT_OPEN:
            self._closed.append(_identity(self._fds[0]))
            os.close(self._fds.pop(0))
        return self.fd

    def leave(self) -> int:
        """Goes back up. `OSError` if that is another directory now than the one come from."""
        if len(self._fds) == 1:
            self._fds.insert(0, os.open("..", _FLAGS, dir_fd=self.fd))
            if _identity(self._fds[0]) != self._closed.pop():
                raise OSError("a directory was moved elsewhere while it was being walked")
        os.close(self._fds.pop())
        return self.fd

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> Descent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


@dataclass(slots=True)
class Listing:
    """What a directory holds, with the names as bytes, open while the walk stands in it. Whoever walks puts into
    `enter` the names of those directories in it to go on to."""

    path: bytes
    fd: int
    entries: list[tuple[bytes, os.DirEntry[str]]]
    enter: list[bytes] = field(default_factory=list)


def open_below(root_fd: int, path: bytes) -> int:
    """A descriptor of a directory below another one, of any depth; `root_fd` stays open. `OSError` if there is none."""
    with Descent(os.dup(root_fd)) as way:
        for name in path.split(b"/") if path else ():
            way.enter(name)
        return os.dup(way.fd)


def walk(root_fd: int, refused: Callable[[bytes, OSError], None], path: bytes = b"") -> Iterator[Listing]:
    """The listings of a directory and of those below it, each before those in it. Closes `root_fd` in the end. Their
    paths begin with `path`.

    `refused` is told of each directory that cannot be opened or listed, which is then passed over. `OSError` if the way
    back is lost, because a directory was moved elsewhere.
    """
    with Descent(root_fd) as descent:
        ways: list[tuple[bytes, list[bytes]]] = []  # of each directory come through, what to enter
        while True:
            listing = Listing(path, descent.fd, [])
            try:
                with os.scandir(descent.fd) as entries:
                    listing.entries += [(entry.name.encode(_ENCODING, _ERRORS), entry) for entry in entries]
            except OSError as refusal:
                refused(path, refusal)
            else:
                yield listing
            ways.append((path, listing.enter))
            entered = _next(descent, ways, refused)
            if entered is None:
                return
            path = entered


def _next(
    descent: Descent, ways: list[tuple[bytes, list[bytes]]], refused: Callable[[bytes, OSError], None]
) -> bytes | None:
    """Enters the next directory that is still to be entered, and says its path."""
    while ways:
        above, names = ways[-1]
        if not names:
            ways.pop()
            if ways:
                descent.leave()
            continue
        name = names.pop()
        try:
            descent.enter(name)
            return joined(above, name)
        except OSError as refusal:
            refused(joined(above, name), refusal)
    return None
