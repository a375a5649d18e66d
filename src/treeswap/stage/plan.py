"""What a new version of a tree takes, told beforehand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from treeswap.cache import Cache, Learned, key_of
from treeswap.manifest import Entry, Manifest, entry_of, joined
from treeswap.outcomes import FileCounts, Listener
from treeswap.release import Tree
from treeswap.scan import Source
from treeswap.scan.survey import shared_links

from .contents import Contents
from .wanted import Wanted

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

    `wanted` are its directories; the digest of a file that is certainly new is known once it was copied. `touched` are
    the paths that get a fresh inode and time, `writable` those that somebody will write to, with all below: nothing
    there is a link. `unchanged` says that the base is all that is wanted. `bytes_needed` and `inodes_needed` are what
    is asked of the filesystem; `sparse` says how much of it files with holes take.
    """

    source: Source
    tree: Tree
    base: Base | None
    as_root: bool
    wanted: Mapping[bytes, Wanted]
    touched: frozenset[bytes]
    unchanged: bool
    sparse: Mapping[bytes, int]
    known: Cache
    learned: Mapping[bytes, Learned]
    writable: tuple[bytes, ...] = ()
    counts: FileCounts = field(default_factory=FileCounts)
    bytes_needed: int = 0
    inodes_needed: int = 0

    def paths(self) -> set[bytes]:
        """The paths of everything that the new version has."""
        inside = (joined(path, name) for path, wanted in self.wanted.items() for name in wanted.names())
        return {*self.wanted, *inside}

    def parts(self, path: bytes) -> tuple[dict[bytes, bytes], dict[bytes, tuple[Entry, Entry | None]]]:
        """What is to be directly in a directory, by name: the base's lines of what is linked from it; and for each that
        is made anew its entry and the base's."""
        wanted = self.wanted[path]
        stays = wanted.stays()
        fresh = {name: (entry, wanted.was(name)) for name, entry in wanted.entries.items()}
        if not self.links_all(path):
            for name in list(stays):
                if not self._links(joined(path, name)):
                    entry = entry_of(stays.pop(name))
                    fresh[name] = (entry, entry)
        return stays, fresh

    def links_all(self, path: bytes) -> bool:
        """Whether all that stays as it is directly in a directory is linked."""
        above = (one.rpartition(b"/")[0] for one in (*self.touched, *self.writable) if one)
        return self._may_link and not self.is_written(path) and path not in above

    def _links(self, path: bytes) -> bool:
        return self._may_link and path not in self.touched and not self.is_written(path)

    @property
    def _may_link(self) -> bool:
        return self.base is not None and self.base.linkable

    def is_written(self, path: bytes) -> bool:
        """Whether somebody will write there."""
        return any(not above or path == above or path.startswith(above + b"/") for above in self.writable)

    def written_to(self, paths: Iterable[str]) -> TreeWork:
        """The same for a version that somebody will write to at these paths, where `""` is the whole tree."""
        return replace(self, writable=tuple(os.fsencode(path) for path in paths)).weighed()

    def weighed(self) -> TreeWork:
        """With what it takes counted."""
        before = self.base.manifest.directories if self.base else {}
        linked = copied = needed = removed = 0
        for path, wanted in self.wanted.items():
            fresh = wanted.entries
            if not self.links_all(path):
                fresh = {name: entry for name, (entry, _) in self.parts(path)[1].items()}
            linked += wanted.staying + len(wanted.entries) - len(fresh)
            copied, needed, removed = copied + len(fresh), needed + _BLOCK, removed + wanted.gone
            for name, entry in fresh.items():
                needed += self.sparse.get(joined(path, name), entry.size // _BLOCK * _BLOCK + _BLOCK)
        removed += sum(there.files for path, there in before.items() if path not in self.wanted)
        counts = FileCounts(linked=linked, copied=copied, removed=removed)
        return replace(self, counts=counts, bytes_needed=needed, inodes_needed=copied + len(self.wanted))

    def cache(self, made: Manifest) -> Cache:
        """What is known of the source, once it became this version; the very same object where nothing was learned."""
        if not self.learned and self.known.directories.keys() == made.directories.keys():
            return self.known
        directories = {}
        for path, directory in made.directories.items():
            if path in self.learned:
                directories[path] = self.learned[path].known(directory.digest)
            elif path in self.known.directories and self.wanted[path].kept is not None:
                directories[path] = self.known.directories[path]
        return Cache(self.known.key, directories)


def plan(
    source: Source,
    *,
    tree: Tree,
    base: Base | None,
    cache: Cache,
    shared_root: Path,
    as_root: bool,
    listener: Listener,
) -> TreeWork:
    """Reads what has to be read of a source to know how it differs from `base`.

    A file with the status that `cache` has of it is not read; nor is one that cannot be equal to the base's. At shared
    paths, whatever the source has there, a link to the path in `shared_root` is wanted. `SourceRefused` names all that
    cannot be read and all that is neither file, directory nor symlink.
    """
    manifest = base.manifest if base else None
    # What cannot be linked is read anyway.
    cache = cache if base is None or base.linkable else Cache(cache.key)
    contents = Contents(source, tree=tree.name, base=manifest, known=cache, as_root=as_root, listener=listener)
    contents.read(shared_links(tree.shared, shared_root))
    contents.refuse()
    return work(source, contents, tree=tree, base=base, as_root=as_root, known=cache)


def cache_key(tree: Tree, shared_root: Path, *, as_root: bool) -> bytes:
    """What must be the same for a cache to be believed: all that says what of a source is looked at."""
    return key_of(tree.exclude, tree.shared, str(shared_root), as_root)


def work(source: Source, contents: Contents, *, tree: Tree, base: Base | None, as_root: bool, known: Cache) -> TreeWork:
    """What it takes to make a version with these contents."""
    touched = frozenset(os.fsencode(path) for path in tree.touch)
    before = base.manifest.directories if base else {}
    unchanged = base is not None and not touched and contents.found.directories.keys() == before.keys()
    for path, wanted in contents.found.directories.items():
        there = before.get(path)
        unchanged = unchanged and wanted.kept is not None and there is not None and wanted.entry.same_as(there.entry)
    return TreeWork(
        source=source,
        tree=tree,
        base=base,
        as_root=as_root,
        wanted=contents.found.directories,
        touched=touched,
        unchanged=unchanged,
        sparse=contents.found.sparse,
        known=known,
        learned=contents.found.learned,
    ).weighed()
