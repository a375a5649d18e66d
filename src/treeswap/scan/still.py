"""Whether a version is what was sealed, as far as that shows without reading files."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from operator import attrgetter
from pathlib import Path

from treeswap.errors import Damaged
from treeswap.manifest import Directory, Entry, Manifest

from .descent import Listing, open_root, walk


def as_sealed(directory: Path, manifest: Manifest) -> set[int] | None:
    """The inodes of the directories of a version, if it holds just what its manifest says, each with its kind, size,
    time, mode and owner; None if not, and where owners are not kept.

    What was changed and given its old time again shows in reading only.
    """
    below: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for path in manifest.directories:
        above, _, name = path.rpartition(b"/")
        below[above].add(name)
    below[b""].discard(b"")
    refused: list[bytes] = []
    inodes: set[int] = set()
    try:
        for listing in walk(open_root(directory), lambda path, _: refused.append(path)):
            own = os.fstat(listing.fd)
            sealed = manifest.directories[listing.path]
            if not has_status(own, sealed.entry) or not _holds(listing, sealed, below[listing.path]):
                return None
            inodes.add(own.st_ino)
    except (OSError, Damaged):
        return None
    return inodes if not refused and len(inodes) == len(manifest.directories) else None


def _holds(listing: Listing, sealed: Directory, directories: set[bytes]) -> bool:
    looks = sealed.looks()
    if len(listing.entries) != len(looks) + len(directories):
        return False
    for name, found in listing.entries:
        look = looks.get(name)
        if look is not None:
            if _look(found.stat(follow_symlinks=False)) != look:
                return False
        elif name in directories and found.is_dir(follow_symlinks=False):
            listing.enter.append(name)
        else:
            return False
    return True


_look = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns")


def kind_of(status: os.stat_result) -> str:
    """The kind that an entry for something with this status has."""
    if stat.S_ISREG(status.st_mode):
        return "f"
    if stat.S_ISDIR(status.st_mode):
        return "d"
    return "l" if stat.S_ISLNK(status.st_mode) else "o"


def has_status(status: os.stat_result, sealed: Entry) -> bool:
    """Whether something is, by its status, what a manifest says."""
    return (
        status.st_mtime_ns == sealed.mtime_ns
        and stat.S_IMODE(status.st_mode) == sealed.mode
        and (status.st_size == sealed.size or sealed.kind == "d")
        and kind_of(status) == sealed.kind
        and status.st_uid == (os.geteuid() if sealed.uid is None else sealed.uid)
        and sealed.gid in (None, status.st_gid)
    )
