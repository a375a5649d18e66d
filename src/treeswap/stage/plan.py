"""What a new version of a tree takes, told beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from treeswap.cache import Cache
from treeswap.manifest import Entry, Manifest
from treeswap.outcomes import FileCounts, Listener
from treeswap.release import Tree
from treeswap.scan import Source
from treeswap.scan.survey import shared_links

from .contents import Contents

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Base:
    """An earlier version of a tree: what a new one is compared with, and linked from where it is `linkable`."""

    manifest: Manifest
    directory: Path
    linkable: bool


@dataclass(frozen=True, slots=True)
class TreeWork:
    """What a new version of a tree takes.

    `wanted` are its entries, in no order; the digest of a file that is certainly new is known once it was copied.
    `linked` are the files and symlinks that become hard links of the base's. `unchanged` says that the base is all that
    is wanted. `bytes_needed` and `inodes_needed` are what is asked of the filesystem.
    """

    source: Source
    tree: Tree
    base: Base | None
    as_root: bool
    wanted: Mapping[bytes, Entry]
    linked: frozenset[bytes]
    touched: frozenset[bytes]
    counts: FileCounts
    unchanged: bool
    bytes_needed: int
    inodes_needed: int
    cache: Cache

    @property
    def copied(self) -> list[bytes]:
        """The files and symlinks that are made anew, sorted."""
        return sorted(path for path, entry in self.wanted.items() if entry.kind != "d" and path not in self.linked)


def plan(
    source: Source,
    *,
    tree: Tree,
    base: Base | None,
    cache: Cache | None,
    shared_root: Path,
    as_root: bool,
    listener: Listener,
) -> TreeWork:
    """Reads what has to be read of a source to know how it differs from `base`.

    A file with the status that `cache` has of it is not read; nor is one that cannot be equal to the base's. At shared
    paths, whatever the source has there, a link to the path in `shared_root` is wanted. `SourceRefused` names all that
    cannot be read and all that is neither file, directory nor symlink.
    """
    contents = Contents(
        source,
        tree=tree.name,
        base=base.manifest.entries if base else {},
        known=cache or Cache(),
        as_root=as_root,
        listener=listener,
    )
    contents.read(shared_links(tree.shared, shared_root))
    contents.refuse()
    return work(source, contents, tree=tree, base=base, as_root=as_root)


def work(source: Source, contents: Contents, *, tree: Tree, base: Base | None, as_root: bool) -> TreeWork:
    """What it takes to make a version with these contents."""
    wanted = contents.entries
    before = base.manifest.entries if base else {}
    linkable = base is not None and base.linkable
    touched = frozenset(os.fsencode(path) for path in tree.touch)
    same = 0
    linked = set()
    made = []
    for path, entry in wanted.items():
        if _is_same(entry, before.get(path)):
            same += 1
            if linkable and entry.kind != "d" and path not in touched:
                linked.add(path)
                continue
        made.append((path, entry))
    return TreeWork(
        source=source,
        tree=tree,
        base=base,
        as_root=as_root,
        wanted=wanted,
        linked=frozenset(linked),
        touched=touched,
        counts=FileCounts(
            linked=len(linked),
            copied=sum(1 for _, entry in made if entry.kind != "d"),
            removed=sum(1 for path in before.keys() - wanted.keys() if before[path].kind != "d"),
        ),
        unchanged=base is not None and not touched and same == len(wanted) == len(before),
        bytes_needed=sum(contents.sparse.get(path, entry.size // _BLOCK * _BLOCK + _BLOCK) for path, entry in made),
        inodes_needed=len(made),
        cache=contents.cache,
    )


def _is_same(entry: Entry, base: Entry | None) -> bool:
    return entry is base or (base is not None and entry.same_as(base) and not entry.undigested)
