"""Reading a source, and saying what a new version of its tree takes."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from treeswap.cache import Cache
from treeswap.errors import SourceRefused, listed
from treeswap.manifest import Entry, Manifest, joined
from treeswap.outcomes import Event, FileCounts, Listener
from treeswap.release import Tree
from treeswap.scan import Listing, NotReadable, Source, walk
from treeswap.scan.reading import attributes_hash, is_sparse, read_attributes, read_file, words
from treeswap.scan.survey import shared_links

_REPORT_EVERY = 1024
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

    `wanted` are its entries; the digest of a file that is certainly new is only known once it was copied. `same` are
    the files and symlinks that the base has too, with the same mode, owner and attributes. `unchanged` says that the
    base is all that is wanted. `bytes_needed` and `inodes_needed` are what is asked of the filesystem.
    """

    source: Source
    tree: Tree
    base: Base | None
    as_root: bool
    wanted: Mapping[bytes, Entry]
    same: frozenset[bytes]
    touched: frozenset[bytes]
    counts: FileCounts
    unchanged: bool
    bytes_needed: int
    inodes_needed: int
    cache: Cache

    @property
    def linked(self) -> frozenset[bytes]:
        """The paths that become hard links of the base's."""
        return self.same - self.touched if self.base and self.base.linkable else frozenset()

    @property
    def copied(self) -> list[bytes]:
        """The files and symlinks that are made anew."""
        linked = self.linked
        return [path for path, entry in self.wanted.items() if entry.kind != "d" and path not in linked]


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
    known = cache if cache is not None else Cache()
    base_entries = base.manifest.entries if base else {}
    reading = SourceReading(source, tree, base_entries, known, as_root, listener)
    reading.run(shared_links(tree.shared, shared_root))
    reading.refuse()
    return work_of(reading, base)


def work_of(reading: SourceReading, base: Base | None) -> TreeWork:
    wanted = dict(sorted(reading.entries.items()))
    base_entries = base.manifest.entries if base else {}
    same = frozenset(path for path, entry in wanted.items() if _is_same(entry, base_entries.get(path)))
    touched = frozenset(os.fsencode(path) for path in reading.tree.touch)
    linked = same - touched if base and base.linkable else frozenset()
    links = copies = space = inodes = 0
    for path, entry in wanted.items():
        if entry.kind != "d" and path in linked:
            links += 1
        else:
            copies += entry.kind != "d"
            inodes += 1
            space += reading.space.get(path, entry.size // _BLOCK * _BLOCK + _BLOCK)
    removed = sum(1 for path, entry in base_entries.items() if entry.kind != "d" and path not in wanted)
    return TreeWork(
        source=reading.source,
        tree=reading.tree,
        base=base,
        as_root=reading.as_root,
        wanted=wanted,
        same=frozenset(path for path in same if wanted[path].kind != "d"),
        touched=touched,
        counts=FileCounts(links, copies, removed),
        unchanged=base is not None and not touched and len(same) == len(wanted) == len(base_entries),
        bytes_needed=space,
        inodes_needed=inodes,
        cache=reading.cache,
    )


def _is_same(entry: Entry, base: Entry | None) -> bool:
    return base is not None and entry.same_as(base) and not entry.undigested


class SourceReading:
    """One reading of a source. After `run`, `entries` are what it contains."""

    def __init__(
        self,
        source: Source,
        tree: Tree,
        base_entries: Mapping[bytes, Entry],
        known: Cache,
        as_root: bool,
        listener: Listener,
    ) -> None:
        self.source = source
        self.tree = tree
        self.as_root = as_root
        self.entries: dict[bytes, Entry] = {}
        self.space: dict[bytes, int] = {}
        """How many bytes sparse files take."""
        self.others: list[bytes] = []
        """Sockets, fifos and devices."""
        self.cache = known.successor()
        self._known = known
        self._base_entries = base_entries
        self._listener = listener
        self._unreadable: dict[bytes, str] = {}
        self._links: dict[bytes, bytes] = {}
        self._owners: dict[bytes, tuple[int | None, int | None]] = {}

    def run(self, links: dict[bytes, bytes]) -> None:
        """Reads everything. `links` are the symlinks that the tree has whatever the source has in their places."""
        self._links = links
        told = 0
        for listing in walk(self.source.open(), self._refused):
            self._directory(listing)
            for found in listing.entries:
                self._found(found, listing)
            if len(self.entries) - told >= _REPORT_EVERY:
                told = len(self.entries)
                self._listener(Event("check", self.tree.name, told))
        for path in sorted(links):
            self._put_link(path, links[path])

    def refuse(self) -> None:
        """Raises `SourceRefused` if something in the source cannot be released."""
        unreadable = [f"{os.fsdecode(path) or '.'}: {self._unreadable[path]}" for path in sorted(self._unreadable)]
        others = [os.fsdecode(path) for path in sorted(self.others)]
        parts = []
        if unreadable:
            parts.append(f"{_so_many(unreadable)} in {self.source} cannot be read:\n{listed(unreadable)}")
        if others:
            parts.append(f"{_so_many(others)} in {self.source}: no file, directory or symlink\n{listed(others)}")
        if parts:
            raise SourceRefused("\n".join(parts), hint="leave out what is not to be released: --exclude PATTERN")

    def _directory(self, listing: Listing) -> None:
        status = os.fstat(listing.fd)
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._unreadable[listing.path] = str(reason)
            return
        self.entries[listing.path] = self._entry("d", status, xattrs=xattrs)

    def _found(self, found: os.DirEntry[str], listing: Listing) -> None:
        name = os.fsencode(found.name)
        path = joined(listing.path, name)
        try:
            status = found.stat(follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if path in self._links:
                self._owners[path] = (status.st_uid, status.st_gid)
            elif self.source.excluded and self.source.excluded(os.fsdecode(path), kind == stat.S_IFDIR):
                pass
            elif kind == stat.S_IFREG:
                self.entries[path] = self._file(path, name, status, listing.fd)
            elif kind == stat.S_IFDIR:
                listing.enter.append(name)
            elif kind == stat.S_IFLNK:
                target = os.readlink(name, dir_fd=listing.fd)
                self.entries[path] = self._entry("l", status, len(target), target)
            else:
                self.others.append(path)
        except OSError as error:
            self._unreadable[path] = words(error)
        except NotReadable as reason:
            self._unreadable[path] = str(reason)

    def _file(self, path: bytes, name: bytes, status: os.stat_result, directory_fd: int) -> Entry:
        known = self._known.get(path, status)
        if known is not None:
            self.cache.known[path] = known
            return self._entry("f", status, status.st_size, known.digest, known.xattrs)
        if is_sparse(status):
            self.space[path] = status.st_blocks * 512
        entry = self._entry("f", status, status.st_size)
        if entry[:5] != self._base_entries.get(path, (None,))[:5]:
            if not os.access(name, os.R_OK, dir_fd=directory_fd, effective_ids=True):
                raise NotReadable(os.strerror(errno.EACCES))
            return entry
        read_at = time.time_ns()
        status, digest, attributes = read_file(name, directory_fd)
        xattrs = attributes_hash(attributes)
        self.cache.learn(path, status, read_at, digest, xattrs)
        return self._entry("f", status, status.st_size, digest, xattrs)

    def _entry(self, kind: str, status: os.stat_result, size: int = 0, content: bytes = b"", xattrs: str = "") -> Entry:
        uid, gid = (status.st_uid, status.st_gid) if self.as_root else (None, None)
        mode = stat.S_IMODE(status.st_mode)
        return Entry(kind, mode, uid, gid, size, status.st_mtime_ns, content, xattrs, "source")

    def _put_link(self, path: bytes, text: bytes) -> None:
        """A link to a shared path, with the owner of what the source has there, else of the directory it is in."""
        above = self._made_directory(path.rpartition(b"/")[0], path)
        uid, gid = self._owners.get(path, (above.uid, above.gid)) if self.as_root else (None, None)
        self.entries[path] = Entry("l", 0o777, uid, gid, len(text), above.mtime_ns, text, "", "shared")

    def _made_directory(self, path: bytes, below: bytes) -> Entry:
        """The entry of a directory that has to be there for a link, made if the source has none."""
        missing = []
        while path not in self.entries and path:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        entry = self.entries.get(path)
        if entry is None or entry.kind != "d":
            raise SourceRefused(
                f"the shared path {os.fsdecode(below)} cannot be made: "
                f"{os.fsdecode(path)} is no directory in {self.source}"
            )
        for directory in reversed(missing):
            entry = entry._replace(mode=0o755, xattrs="", origin="shared")
            self.entries[directory] = entry
        return entry

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._unreadable[path] = words(refusal)


def _so_many(names: list[str]) -> str:
    return "one path" if len(names) == 1 else f"{len(names)} paths"
