"""Whether a version is what was sealed, as far as that shows without reading files."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from pathlib import Path

from treeswap.errors import Damaged
from treeswap.manifest import Directory, Entry, Manifest
from treeswap.manifest.text import Head

from .descent import Listing, open_root, walk


def as_sealed(directory: Path, manifest: Manifest) -> set[int] | None:
    """The inodes of the directories of a version, if it holds just what its manifest says, each with its kind, size,
    time, mode and owner; None if not.

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
        if found.is_dir(follow_symlinks=False):
            if name not in directories:
                return False
            listing.enter.append(name)
        else:
            look = looks.get(name)
            if look is None or not _looks(found.stat(follow_symlinks=False), *look):
                return False
    return True


def kind_of(status: os.stat_result) -> str:
    """The kind that an entry for something with this status has."""
    if stat.S_ISREG(status.st_mode):
        return "f"
    if stat.S_ISDIR(status.st_mode):
        return "d"
    return "l" if stat.S_ISLNK(status.st_mode) else "o"


def has_status(status: os.stat_result, sealed: Entry) -> bool:
    """Whether something is, by its status, what a manifest says."""
    head = (*sealed[:4], sealed.xattrs, sealed.origin)
    return _looks(status, head, status.st_size if sealed.kind == "d" else sealed.size, sealed.mtime_ns)


def _looks(status: os.stat_result, head: Head, size: int, mtime_ns: int) -> bool:
    kind, mode, uid, gid, _, _ = head
    return (
        status.st_mtime_ns == mtime_ns
        and status.st_size == size
        and stat.S_IMODE(status.st_mode) == mode
        and kind_of(status) == kind
        and status.st_uid == (os.geteuid() if uid is None else uid)
        and gid in (None, status.st_gid)
    )
