"""Dividing the work on a large tree."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping

from treeswap.aside import processors
from treeswap.manifest import Directory, joined

from .descent import walk
from .source import Excluded

_WORTH_IT = 8192
"""How many files and directories take longer to be looked at than another process takes to begin."""
_OPENING = 4
"""How many files are looked at in the time that a directory takes to be opened and listed."""
_PARTS = 16
_MANY = 128
"""How many directories two levels down make a tree that is worth it, where nothing else is known of it."""


def half(directories: Mapping[bytes, Directory]) -> frozenset[bytes]:
    """The directories, none of them in another, that hold about half of a tree with all that is in them. None where it
    is small to look at, or where there is one processor."""
    return half_of({path: directory.files for path, directory in directories.items()}, _WORTH_IT)


def half_of(files: Mapping[bytes, int], worth_it: int) -> frozenset[bytes]:
    """The same of directories with so many files to work on; none where there is less to do than is `worth_it`."""
    if sum(files.values()) + len(files) < worth_it or processors() == 1:
        return frozenset()
    weight: Counter[bytes] = Counter()
    below: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for path in sorted(files, reverse=True):  # each after all that is in it
        weight[path] += files[path] + _OPENING
        if path:
            above = path.rpartition(b"/")[0]
            weight[above] += weight[path]
            below[above].append(path)
    parts: list[bytes] = []
    large = [b""]
    while large:
        for path in below[large.pop()]:
            (large if weight[path] > weight[b""] // _PARTS else parts).append(path)
    chosen, so_far = [], 0
    for path in sorted(parts, key=weight.__getitem__, reverse=True):
        if so_far + weight[path] <= weight[b""] // 2:
            chosen.append(path)
            so_far += weight[path]
    return frozenset(chosen)


def every_other(root_fd: int, excluded: Excluded | None) -> frozenset[bytes]:
    """The same of a tree that nothing is known of yet: every second directory two levels down, but for those that are
    excluded. Closes `root_fd`."""
    found: list[bytes] = []
    for listing in walk(root_fd, lambda *_: None):
        for name, entry in listing.entries:
            path = joined(listing.path, name)
            if not entry.is_dir(follow_symlinks=False) or (excluded and excluded(os.fsdecode(path), True)):
                continue
            if listing.path:
                found.append(path)
            else:
                listing.enter.append(name)
    return frozenset(sorted(found)[::2]) if len(found) >= _MANY and processors() > 1 else frozenset()
