"""Whether a version is what was sealed, as far as that shows without reading files."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from treeswap.aside import Aside
from treeswap.errors import Damaged
from treeswap.manifest import Entry, Manifest, looks_as

from .descent import Listing, open_below, open_root, walk
from .halves import half


def as_sealed(directory: Path, manifest: Manifest) -> set[int] | None:
    """The inodes of the directories of a version, if it holds just what its manifest says, each with its kind, size,
    time, mode and owner; None if not, and where owners are not kept.

    What was changed and given its old time again shows in reading only.
    """
    other = half(manifest.directories)
    look = _Look(directory, manifest)
    if not other:
        inodes = look.at([b""], ())
    else:
        with Aside(lambda: (look.at(other, ()),)) as aside:
            mine = look.at([b""], other)
            theirs = None if mine is None else (aside.result() or (look.at(other, ()),))[0]
        inodes = None if mine is None or theirs is None else mine | theirs
    return inodes if inodes is not None and len(inodes) == len(manifest.directories) else None


class _Look:
    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory = directory
        self._sealed = manifest.directories
        self._below: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for path in manifest.directories:
            above, _, name = path.rpartition(b"/")
            self._below[above].add(name)
        self._below[b""].discard(b"")

    def at(self, roots: Iterable[bytes], left_out: Iterable[bytes]) -> set[int] | None:
        """The inodes of these directories and of those in them, which are there, but for those left out; None if
        something is not as it was."""
        refused: list[bytes] = []
        inodes: set[int] = set()
        try:
            root_fd = open_root(self._directory)
            try:
                for root in roots:
                    for listing in walk(open_below(root_fd, root), lambda path, _: refused.append(path), root):
                        inode = self._of(listing, left_out)
                        if inode is None:
                            return None
                        inodes.add(inode)
            finally:
                os.close(root_fd)
        except (OSError, Damaged):
            return None
        return None if refused else inodes

    def _of(self, listing: Listing, left_out: Iterable[bytes]) -> int | None:
        own, sealed = os.fstat(listing.fd), self._sealed[listing.path]
        if not has_status(own, sealed.entry):
            return None
        directories, prefix = self._below[listing.path], listing.path + b"/" if listing.path else b""
        lines = iter(sealed.lines.split(b"\n") if sealed.lines else ())
        listing.entries.sort()  # as the lines are
        for name, found in listing.entries:
            if name in directories:
                if not found.is_dir(follow_symlinks=False):
                    return None
                if prefix + name not in left_out:
                    listing.enter.append(name)
            elif not looks_as(name, found.stat(follow_symlinks=False), next(lines, b"")):
                return None
        return own.st_ino if next(lines, None) is None else None


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
