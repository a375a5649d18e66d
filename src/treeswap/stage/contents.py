"""Reading what a source contains: only as much of it as has to be read."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping

from treeswap.cache import Cache, Known
from treeswap.errors import SourceRefused, listed
from treeswap.manifest import Entry, joined
from treeswap.outcomes import Event, Listener
from treeswap.scan import Listing, NotReadable, Source, walk
from treeswap.scan.reading import attributes_hash, is_sparse, read_attributes, read_file, words

_REPORT_EVERY = 1024


class Contents:
    """What one source contains, once `read` was called.

    `base` are the entries of an earlier version, `known` is what its cache tells of the source's files. The digest of a
    file that cannot be equal to the base's is left empty.
    """

    def __init__(
        self, source: Source, *, tree: str, base: Mapping[bytes, Entry], known: Cache, as_root: bool, listener: Listener
    ) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.others: list[bytes] = []
        """Sockets, fifos and devices."""
        self.sparse: dict[bytes, int] = {}
        """How many bytes files with holes take."""
        self.cache = known.successor()
        self._source = source
        self._tree = tree
        self._base = base
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
        told = 0
        for listing in walk(self._source.open(), self._refused):
            self._directory(listing)
            for name, found in listing.entries:
                self._found(name, found, listing)
            if len(self.entries) - told >= _REPORT_EVERY:
                told = len(self.entries)
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
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._unreadable[listing.path] = str(reason)
        else:
            self.entries[listing.path] = self._entry("d", os.fstat(listing.fd), xattrs=xattrs)

    def _found(self, name: bytes, found: os.DirEntry[str], listing: Listing) -> None:
        path = joined(listing.path, name)
        try:
            status = found.stat(follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if path in self._links:
                self._owners[path] = (status.st_uid, status.st_gid)
            elif self._source.excluded and self._source.excluded(os.fsdecode(path), kind == stat.S_IFDIR):
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

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._unreadable[path] = words(refusal)

    def _file(self, path: bytes, name: bytes, status: os.stat_result, directory_fd: int) -> Entry:
        known = self._known.get(path, status)
        if known is not None:
            self.cache.known[path] = known
            return self._known_file(path, status, known)
        self._measure(path, status)
        entry = self._entry("f", status, status.st_size)
        base = self._base.get(path)
        if base is None or base.undigested or entry[:5] != base[:5]:
            if not os.access(name, os.R_OK, dir_fd=directory_fd, effective_ids=True):
                raise NotReadable(os.strerror(errno.EACCES))
            return entry
        read_at = time.time_ns()
        status, digest, attributes = read_file(name, directory_fd)
        xattrs = attributes_hash(attributes)
        self.cache.learn(path, status, read_at, digest, xattrs)
        return self._entry("f", status, status.st_size, digest, xattrs)

    def _known_file(self, path: bytes, status: os.stat_result, known: Known) -> Entry:
        base = self._base.get(path)
        if base is not None and base[6:] == (known.digest, known.xattrs, "source"):
            owner = (status.st_uid, status.st_gid) if self._as_root else (None, None)
            if base[1:4] == (stat.S_IMODE(status.st_mode), *owner):
                return base  # as nearly every file is, nearly always; with the time that a new version gives it, too
        self._measure(path, status)
        return self._entry("f", status, status.st_size, known.digest, known.xattrs)

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
        above = self._directory_for(path)
        uid, gid = self._owners.get(path, (above.uid, above.gid)) if self._as_root else (None, None)
        self.entries[path] = Entry("l", 0o777, uid, gid, len(text), above.mtime_ns, text, "", "shared")

    def _directory_for(self, link: bytes) -> Entry:
        """The entry of the directory that a link is in, made if the source has none."""
        missing = []
        path = link.rpartition(b"/")[0]
        while path and path not in self.entries:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        entry = self.entries.get(path)
        if entry is None or entry.kind != "d":
            what = os.fsdecode(path) or str(self._source)
            raise SourceRefused(f"the shared path {os.fsdecode(link)} cannot be made: {what} is no directory")
        for directory in reversed(missing):
            entry = entry._replace(mode=0o755, xattrs="", origin="shared")
            self.entries[directory] = entry
        return entry


def _so_many(names: list[str]) -> str:
    return "one path" if len(names) == 1 else f"{len(names)} paths"
