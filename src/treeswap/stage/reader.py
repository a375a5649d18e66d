"""Looking at what a source has, directory by directory: only as much of it is read as has to be."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from treeswap.cache import Cache, Learned, known_of, signature, status_text
from treeswap.manifest import Directory, Entry, entry_of, joined
from treeswap.outcomes import Event, Listener
from treeswap.scan import Listing, NotReadable, Source, open_below, walk
from treeswap.scan.reading import attributes_hash, is_sparse, read_attributes, read_file, words

from .wanted import Wanted

_REPORT_EVERY = 1024
_DIGITS = 64
_Named = tuple[bytes, os.DirEntry[str], os.stat_result | None]


@dataclass(slots=True)
class Found:
    """What a source, or a part of it, was found to have, by path.

    `others` are sockets, fifos and devices, `unreadable` says why something is, `sparse` how many bytes files with
    holes take, `learned` what became known of directories that are not as the cache knows them. `owners` are those of
    what the source has in the places of links, and `put_off` directories that somebody else looks into.
    """

    directories: dict[bytes, Wanted] = field(default_factory=dict)
    others: list[bytes] = field(default_factory=list)
    unreadable: dict[bytes, str] = field(default_factory=dict)
    sparse: dict[bytes, int] = field(default_factory=dict)
    learned: dict[bytes, Learned] = field(default_factory=dict)
    owners: dict[bytes, tuple[int | None, int | None]] = field(default_factory=dict)
    put_off: list[bytes] = field(default_factory=list)

    def add(self, other: Found) -> None:
        self.directories |= other.directories
        self.others += other.others
        self.unreadable |= other.unreadable
        self.sparse |= other.sparse
        self.learned |= other.learned
        self.owners |= other.owners
        self.put_off += other.put_off

    def tie(self, base: Mapping[bytes, Directory], known: Cache) -> None:
        """Gives directories and what was learned back what they are told by, after `untie`."""
        for path, wanted in self.directories.items():
            wanted.before = base.get(path)
        for path, learned in self.learned.items():
            learned.before = known.directories.get(path)

    def untie(self) -> None:
        """Leaves out what whoever gets this has already."""
        for wanted in self.directories.values():
            wanted.before = None
        for learned in self.learned.values():
            learned.before = None


class _Here(NamedTuple):
    """A directory of the source while it is read: what the base has there, what was known of it, and whether the base's
    is the very version that was made of it then."""

    listing: Listing
    wanted: Wanted
    before: Mapping[bytes, bytes]
    known: Mapping[bytes, bytes]
    is_known_as_base: bool
    learned: Learned


class Reader:
    """Reads a source beside `base`, an earlier version's directories, and `known`, what is known of the source.

    In the places of `links` the new version has symlinks, whatever the source has there. The digest of a file that
    cannot be equal to the base's is left empty.
    """

    def __init__(
        self,
        source: Source,
        *,
        tree: str,
        base: Mapping[bytes, Directory],
        known: Cache,
        links: Collection[bytes],
        as_root: bool,
        listener: Listener,
    ) -> None:
        self._source = source
        self._tree = tree
        self._base = base
        self._known = known
        self._links = links
        self._as_root = as_root
        self._listener = listener
        self._elsewhere: Collection[bytes] = ()
        self._result = Found()

    def read(self, roots: Iterable[bytes], elsewhere: Collection[bytes] = ()) -> Found:
        """What these directories have, with all below but what is looked at `elsewhere`. `OSError` if one cannot be
        opened, or is moved while it is walked."""
        self._elsewhere, self._result = elsewhere, Found()
        seen, told = 0, 0
        root_fd = self._source.open()
        if root_fd is None:
            self._nothing()
            return self._result
        try:
            for path in roots:
                for listing in walk(open_below(root_fd, path), self._refused, path):
                    self._directory(listing)
                    seen += len(listing.entries)
                    if seen - told >= _REPORT_EVERY:
                        told = seen
                        self._listener(Event("check", self._tree, told))
        finally:
            os.close(root_fd)
        return self._result

    def _nothing(self) -> None:
        """What is there is an empty directory."""
        uid, gid = (os.geteuid(), os.getegid()) if self._as_root else (None, None)
        own, base = Entry("d", 0o755, uid, gid, 0, time.time_ns(), b"", "", "source"), self._base.get(b"")
        self._result.directories[b""] = Wanted(own, base, unlike=base.by_name() if base else {})

    # ---------------------------------------------------------------- a directory

    def _directory(self, listing: Listing) -> None:
        path, now = listing.path, time.time_ns()
        own = os.fstat(listing.fd)
        found = [(name, entry, _status(entry)) for name, entry in listing.entries]
        signed = signature(own, ((name, status) for name, _, status in found), now)
        known, base = self._known.directories.get(path), self._base.get(path)
        is_known_as_base = known is not None and base is not None and known.digest == base.digest
        if signed and known is not None and is_known_as_base and known.signature == signed:
            self._result.directories[path] = Wanted(self._entry("d", own, xattrs=known.xattrs), base)
            self._enter_all(listing, found)
            return
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._result.unreadable[path] = str(reason)
            return
        wanted = self._result.directories[path] = Wanted(self._entry("d", own, xattrs=xattrs), base)
        learned = self._result.learned[path] = Learned(signed, xattrs, known)
        before, was_known = base.by_name() if base else {}, known.by_name() if known else {}
        here = _Here(listing, wanted, before, was_known, is_known_as_base, learned)
        there = {name for name, entry, status in found if self._found(name, entry, status, here)}
        wanted.unlike.update((name, before[name]) for name in before.keys() - there)
        learned.forget(was_known.keys() - there)

    def _enter_all(self, listing: Listing, found: list[_Named]) -> None:
        for name, _, status in found:
            if status is None and not self._is_left_out(path := joined(listing.path, name), is_directory=True):
                self._enter(listing, path, name)

    def _enter(self, listing: Listing, path: bytes, name: bytes) -> None:
        if path in self._elsewhere:
            self._result.put_off.append(path)
        else:
            listing.enter.append(name)

    def _is_left_out(self, path: bytes, *, is_directory: bool) -> bool:
        excluded = self._source.excluded
        return path in self._links or bool(excluded and excluded(os.fsdecode(path), is_directory))

    def _found(self, name: bytes, found: os.DirEntry[str], status: os.stat_result | None, here: _Here) -> bool:
        """Whether it is one of the files and symlinks that are wanted."""
        path, listing = joined(here.listing.path, name), here.listing
        try:
            if path in self._links:
                status = status or found.stat(follow_symlinks=False)
                self._result.owners[path] = (status.st_uid, status.st_gid)
            elif self._is_left_out(path, is_directory=status is None):
                pass
            elif status is None:
                self._enter(listing, path, name)
            elif stat.S_ISREG(status.st_mode):
                self._file(path, name, status, here)
                return True
            elif stat.S_ISLNK(status.st_mode):
                target = os.readlink(name, dir_fd=listing.fd)
                self._put(name, self._entry("l", status, len(target), target), here)
                return True
            else:
                self._result.others.append(path)
        except OSError as error:
            self._result.unreadable[path] = words(error)
        except NotReadable as reason:
            self._result.unreadable[path] = str(reason)
        return False

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._result.unreadable[path] = words(refusal)

    def _file(self, path: bytes, name: bytes, status: os.stat_result, here: _Here) -> None:
        known, before = here.known.get(name), here.before.get(name)
        if known is not None and known.startswith(status_text(status) + b"\t"):
            if here.is_known_as_base and before is not None and _says_so(known, before):
                return  # it is as it was when it became what the base has
            try:
                _, digest, xattrs = known_of(known)
            except ValueError:
                here.learned.forget([name])
            else:
                self._measure(path, status)
                self._put(name, self._entry("f", status, status.st_size, digest, xattrs), here)
                return
        here.learned.forget([name])
        self._measure(path, status)
        entry = self._entry("f", status, status.st_size)
        base = entry_of(before) if before is not None else None
        if base is None or base.undigested or entry[:5] != base[:5]:
            if not os.access(name, os.R_OK, dir_fd=here.listing.fd, effective_ids=True):
                raise NotReadable(os.strerror(errno.EACCES))
            here.wanted.put(name, entry, before)
            return
        read_at = time.time_ns()
        status, digest, attributes = read_file(name, here.listing.fd)
        xattrs = attributes_hash(attributes)
        here.learned.learn(name, status, read_at, digest, xattrs)
        self._put(name, self._entry("f", status, status.st_size, digest, xattrs), here)

    def _put(self, name: bytes, entry: Entry, here: _Here) -> None:
        """One whose content is known: it stays, if the base has just that."""
        before = here.before.get(name)
        if before is None or not is_as(entry, before):
            here.wanted.put(name, entry, before)

    def _measure(self, path: bytes, status: os.stat_result) -> None:
        if is_sparse(status):
            self._result.sparse[path] = status.st_blocks * 512

    def _entry(self, kind: str, status: os.stat_result, size: int = 0, content: bytes = b"", xattrs: str = "") -> Entry:
        uid, gid = (status.st_uid, status.st_gid) if self._as_root else (None, None)
        mode = stat.S_IMODE(status.st_mode)
        return Entry(kind, mode, uid, gid, size, status.st_mtime_ns, content, xattrs, "source")


def is_as(entry: Entry, before: bytes) -> bool:
    """Whether the base's line says the same of a file or symlink: everything but the time."""
    base = entry_of(before)
    return entry.same_as(base) and entry.origin == base.origin and not entry.undigested


def _says_so(known: bytes, before: bytes) -> bool:
    """Whether a line of the cache speaks of the content, attributes and origin that the base's line has."""
    _, digest, xattrs, _ = known.split(b"\t")
    return len(digest) == _DIGITS and b"\t%b\tsource\t" % xattrs in before and b"\t%b\t" % digest in before


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What a file is now; None of a directory, which is looked at when it is entered, as is what went away."""
    try:
        return None if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False)
    except OSError:
        return None
