"""Reading what a source contains: only as much of it as has to be read."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from typing import NamedTuple

from treeswap.cache import Cache, Learned, known_of, signature, status_text
from treeswap.errors import SourceRefused, listed
from treeswap.manifest import Entry, Manifest, entry_of, joined
from treeswap.outcomes import Event, Listener
from treeswap.scan import Listing, NotReadable, Source, walk
from treeswap.scan.reading import attributes_hash, is_sparse, read_attributes, read_file, words

from .wanted import Wanted

_REPORT_EVERY = 1024
_DIGITS = 64
_Named = tuple[bytes, os.DirEntry[str], os.stat_result | None]


class _Here(NamedTuple):
    """A directory of the source while it is read: what the base has there, what was known of it, and whether the base's
    is the very version that was made of it then."""

    listing: Listing
    wanted: Wanted
    before: Mapping[bytes, bytes]
    known: Mapping[bytes, bytes]
    is_known_as_base: bool
    learned: Learned


class Contents:
    """What one source contains, once `read` was called.

    `base` is an earlier version, `known` is what its cache tells of the source's files. The digest of a file that
    cannot be equal to the base's is left empty.
    """

    def __init__(
        self, source: Source, *, tree: str, base: Manifest | None, known: Cache, as_root: bool, listener: Listener
    ) -> None:
        self.directories: dict[bytes, Wanted] = {}
        self.others: list[bytes] = []
        """Sockets, fifos and devices."""
        self.sparse: dict[bytes, int] = {}
        """How many bytes files with holes take."""
        self.learned: dict[bytes, Learned] = {}
        """What became known of directories that are not as the cache knows them."""
        self._source = source
        self._tree = tree
        self._base = base.directories if base else {}
        self._known = known
        self._as_root = as_root
        self._listener = listener
        self._unreadable: dict[bytes, str] = {}
        self._links: Mapping[bytes, bytes] = {}
        self._owners: dict[bytes, tuple[int | None, int | None]] = {}

    def read(self, links: Mapping[bytes, bytes]) -> None:
        """Reads everything. `links` are the symlinks that the tree has, whatever the source has in their places."""
        self._links = links
        try:
            self._read_all()
        except OSError as error:
            raise SourceRefused(f"{self._source} changed while it was read", cause=words(error)) from error
        for path in sorted(links):
            self._put_link(path, links[path])

    def _read_all(self) -> None:
        seen, told = 0, 0
        for listing in walk(self._source.open(), self._refused):
            self._directory(listing)
            seen += len(listing.entries)
            if seen - told >= _REPORT_EVERY:
                told = seen
                self._listener(Event("check", self._tree, told))

    def refuse(self) -> None:
        """Raises `SourceRefused` if something was found that cannot be released."""
        unreadable = [f"{os.fsdecode(path) or '.'}: {self._unreadable[path]}" for path in sorted(self._unreadable)]
        others = [os.fsdecode(path) for path in sorted(self.others)]
        parts = []
        if unreadable:
            parts.append(f"{_so_many(unreadable)} in {self._source} cannot be read:\n{listed(unreadable)}")
        if others:
            parts.append(f"{_so_many(others)} in {self._source}: no file, directory or symlink\n{listed(others)}")
        if parts:
            raise SourceRefused("\n".join(parts), hint="leave out what is not to be released: --exclude PATTERN")

    # ---------------------------------------------------------------- what is found

    def _directory(self, listing: Listing) -> None:
        path, now = listing.path, time.time_ns()
        own = os.fstat(listing.fd)
        found = [(name, entry, _status(entry)) for name, entry in listing.entries]
        signed = signature(own, ((name, status) for name, _, status in found), now)
        known, base = self._known.directories.get(path), self._base.get(path)
        is_known_as_base = known is not None and base is not None and known.digest == base.digest
        if signed and known is not None and is_known_as_base and known.signature == signed:
            self.directories[path] = Wanted(self._entry("d", own, xattrs=known.xattrs), base)
            self._enter_all(listing, found)
            return
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._unreadable[path] = str(reason)
            return
        wanted = self.directories[path] = Wanted(self._entry("d", own, xattrs=xattrs), base)
        learned = self.learned[path] = Learned(signed, xattrs, known)
        before, was_known = base.by_name() if base else {}, known.by_name() if known else {}
        here = _Here(listing, wanted, before, was_known, is_known_as_base, learned)
        there = {name for name, entry, status in found if self._found(name, entry, status, here)}
        wanted.unlike.update((name, before[name]) for name in before.keys() - there)
        learned.forget(was_known.keys() - there)

    def _enter_all(self, listing: Listing, found: list[_Named]) -> None:
        for name, _, status in found:
            if status is None and not self._is_left_out(joined(listing.path, name), is_directory=True):
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
                self._owners[path] = (status.st_uid, status.st_gid)
            elif self._is_left_out(path, is_directory=status is None):
                pass
            elif status is None:
                listing.enter.append(name)
            elif stat.S_ISREG(status.st_mode):
                self._file(path, name, status, here)
                return True
            elif stat.S_ISLNK(status.st_mode):
                target = os.readlink(name, dir_fd=listing.fd)
                self._put(name, self._entry("l", status, len(target), target), here)
                return True
            else:
                self.others.append(path)
        except OSError as error:
            self._unreadable[path] = words(error)
        except NotReadable as reason:
            self._unreadable[path] = str(reason)
        return False

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._unreadable[path] = words(refusal)

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
            self.sparse[path] = status.st_blocks * 512

    def _entry(self, kind: str, status: os.stat_result, size: int = 0, content: bytes = b"", xattrs: str = "") -> Entry:
        uid, gid = (status.st_uid, status.st_gid) if self._as_root else (None, None)
        mode = stat.S_IMODE(status.st_mode)
        return Entry(kind, mode, uid, gid, size, status.st_mtime_ns, content, xattrs, "source")

    # ---------------------------------------------------------------- links to shared paths

    def _put_link(self, path: bytes, text: bytes) -> None:
        """A link to a shared path, with the owner of what the source has there, else of the directory it is in."""
        above, _, name = path.rpartition(b"/")
        wanted = self._directory_for(path, above)
        if wanted.kept is not None:
            return  # and the base has it
        entry = wanted.entry
        uid, gid = self._owners.get(path, (entry.uid, entry.gid)) if self._as_root else (None, None)
        link = Entry("l", 0o777, uid, gid, len(text), entry.mtime_ns, text, "", "shared")
        before = wanted.before.by_name().get(name) if wanted.before else None
        if before is None or not is_as(link, before):
            wanted.put(name, link, before)
        else:
            wanted.unlike.pop(name, None)

    def _directory_for(self, link: bytes, path: bytes) -> Wanted:
        """The directory that a link is in, made if the source has none."""
        missing = []
        while path and path not in self.directories:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        wanted = self.directories.get(path)
        if wanted is None or (missing and self._is_in_the_way(wanted, missing[-1])):
            what = os.fsdecode(missing[-1] if wanted and missing else path) or str(self._source)
            raise SourceRefused(f"the shared path {os.fsdecode(link)} cannot be made: {what} is no directory")
        for directory in reversed(missing):
            there = self._base.get(directory)
            made = wanted.entry._replace(mode=0o755, xattrs="", origin="shared")
            wanted = Wanted(made, there, unlike=there.by_name() if there else {})
            self.directories[directory] = wanted
        return wanted

    @staticmethod
    def _is_in_the_way(above: Wanted, path: bytes) -> bool:
        return path.rpartition(b"/")[2] in above.names()


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


def _so_many(names: list[str]) -> str:
    return "one path" if len(names) == 1 else f"{len(names)} paths"
