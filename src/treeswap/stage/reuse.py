"""A version that was given up, as the place that a new one is made in: only what differs has to be touched.

Its directories are nobody else's, and what is in them is linked or not, but never written to.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from treeswap.manifest import Directory, Manifest
from treeswap.scan import Descent

from .plan import TreeWork
from .remove import remove_below
from .times import Times

PRIVATE = 0o700
"""The mode of a directory while it is filled."""


class Reuse:
    """What the new version's place holds already, by the manifest of the version that was there.

    `ready` are the directories that hold what they are to hold, as they will stand in the new manifest; `entered` are
    those that have to be gone into, because something is to be done in them or further down.
    """

    def __init__(self, work: TreeWork, held: Manifest | None, times: Times) -> None:
        self.held: Mapping[bytes, Directory] = held.directories if held else {}
        self.ready: dict[bytes, Directory] = {}
        self.entered: Collection[bytes] = work.wanted.keys()
        self._gone = below(self.held.keys() - work.wanted.keys())
        if held is None:
            return
        wanted_below, held_below = below(work.wanted), below(self.held)
        for path in work.wanted:
            there = _as_held(work, path, self.held.get(path), times)
            if there is not None and wanted_below[path] == held_below[path]:
                self.ready[path] = there
        entered = {b""}
        for path in work.wanted.keys() - self.ready.keys():
            while path not in entered:
                entered.add(path)
                path = path.rpartition(b"/")[0]
        self.entered = entered

    def clear(self, way: Descent, path: bytes, gone: Collection[bytes]) -> None:
        """Takes these, and the directories that are not wanted, out of a directory that was held, where `way` is; and
        from the directory itself what it would hand down to what is put into it."""
        held = self.held[path]
        os.fchmod(way.fd, PRIVATE)
        if held.entry.xattrs:
            for attribute in os.listxattr(way.fd):
                if attribute.startswith(("user.", "system.posix_acl_")):
                    with suppress(OSError):
                        os.removexattr(way.fd, attribute)
        for name in gone:
            os.unlink(name, dir_fd=way.fd)
        for directory in self._gone[path]:
            remove_below(way, directory.rpartition(b"/")[2], Path(os.fsdecode(directory)))


def below(paths: Collection[bytes] | Mapping[bytes, object]) -> defaultdict[bytes, list[bytes]]:
    """The paths that are directly in each directory."""
    found: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for path in sorted(paths):
        if path:
            found[path.rpartition(b"/")[0]].append(path)
    return found


def _as_held(work: TreeWork, path: bytes, held: Directory | None, times: Times) -> Directory | None:
    """The directory as it will stand in the new manifest, if what was held is just that."""
    wanted = work.wanted[path]
    kept = wanted.kept
    if held is None or kept is None or path in work.touched or not work.links_all(path):
        return None
    entry = wanted.entry._replace(mtime_ns=times.of_directory(wanted.entry.mtime_ns, kept.entry, touched=False))
    return kept._replace(entry=entry) if kept.lines == held.lines and entry[:8] == held.entry[:8] else None
