"""Whether a user gets at files: the x bit of each directory on the way, the r bit of each file at its end.

Access control lists are not understood: what has one counts as open. At most `ENOUGH` entries of a tree are looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .seam import Reader

ENOUGH = 20_000
_LINKS = 40
"""The kernel gives up after so many links, too."""


def blocked(path: Path, reader: Reader, bit: int = 0) -> str | None:
    """What keeps the reader from `path`, links followed; None: nothing does, or it is not there. `bit` (4 read, 2
    write) is wanted of what is at its end."""
    if reader.uid == 0:
        return None
    try:
        for directory in _way(path):
            if not allowed(directory, reader, 1):
                return f"{directory} has no x bit for it"
        if bit and not allowed(path, reader, bit):
            return f"{path} has no {'r' if bit == 4 else 'w'} bit for it"
    except OSError:
        return None
    return None


def closed_in(tree: Path, reader: Reader) -> tuple[int, str | None]:
    """How many entries of a tree the reader cannot use, and the first of them by name."""
    if reader.uid == 0:
        return 0, None
    count, first = 0, None
    for number, (path, bit) in enumerate(_entries(tree)):
        if number >= ENOUGH:
            break
        try:
            told = blocked(path, reader, bit) if path.is_symlink() else None
            closed = told is not None or not allowed(path, reader, bit)
        except OSError:
            continue
        if closed:
            count, first = count + 1, first or str(path)
    return count, first


def allowed(path: Path, reader: Reader, bit: int) -> bool:
    """Whether this one entry, links followed, has the bit (4 r, 2 w, 1 x) for the reader."""
    status = os.stat(path)
    if reader.uid in (0, status.st_uid):
        return reader.uid == 0 or bool(status.st_mode >> 6 & bit)
    if _has_acl(path):
        return True
    return bool(status.st_mode >> (3 if status.st_gid in reader.gids else 0) & bit)


def _entries(tree: Path) -> Iterator[tuple[Path, int]]:
    for directory, below, files in os.walk(tree):
        for name in sorted(below):
            yield Path(directory, name), 1
        for name in sorted(files):
            yield Path(directory, name), 4
        below.sort()


def _way(path: Path) -> Iterator[Path]:
    """Each directory that a lookup of `path` searches; `path` itself, if a directory, too."""
    here, names, links = Path("/"), list(path.parts[1:])[::-1], 0
    yield here
    while names:
        name = names.pop()
        here = here.parent if name == ".." else here / name
        mode = os.lstat(here).st_mode
        if stat.S_ISLNK(mode):
            if (links := links + 1) > _LINKS:
                return
            target = Path(os.readlink(here))
            names += [part for part in target.parts if part != "/"][::-1]
            here = Path("/") if target.is_absolute() else here.parent
        elif stat.S_ISDIR(mode):
            yield here


def _has_acl(path: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
