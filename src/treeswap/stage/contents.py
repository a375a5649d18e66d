"""Reading what a source contains: only as much of it as has to be read."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from treeswap.cache import Cache, Known, Learned, signature, status_text
from treeswap.errors import SourceRefused, listed
from treeswap.manifest import Directory, Entry, Manifest, joined
from treeswap.outcomes import Event, Listener
from treeswap.scan import Listing, NotReadable, Source, walk
from treeswap.scan.reading import attributes_hash, is_sparse, read_attributes, read_file, words

_REPORT_EVERY = 1024
_Found = tuple[bytes, os.DirEntry[str], os.stat_result | None]


@dataclass(slots=True)
class Wanted:
    """A directory as a new version is to have it: its own entry, and what is directly in it, directories left out.

    `kept` is the base's directory, where nothing in it changed; `entries` are all of them, by name, where something
    did, and `before` are those that the base has there.
    """

    entry: Entry
    kept: Directory | None = None
    entries: Mapping[bytes, Entry] = field(default_factory=dict)
    before: Mapping[bytes, Entry] = field(default_factory=dict)

    def keep(self, there: Directory) -> None:
        """Everything in it turned out to be as it is in the base."""
        self.kept, self.entries, self.before = there, {}, {}


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
        self._before: Mapping[bytes, Entry] = {}
        self._files: Mapping[bytes, Known] = {}

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
        root = self._source.open()
        if root is None:
            uid, gid = (os.geteuid(), os.getegid()) if self._as_root else (None, None)
            made = Entry("d", 0o755, uid, gid, 0, time.time_ns(), b"", "", "source")
            self.directories[b""] = Wanted(made, before=self._base[b""].entries() if self._base else {})
            return
        for listing in walk(root, self._refused):
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
        if signed and known is not None and base is not None and known[:2] == (signed, base.digest):
            self.directories[path] = Wanted(self._entry("d", own, xattrs=known.xattrs), kept=base)
            self._enter_all(listing, found)
            return
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._unreadable[path] = str(reason)
            return
        entries: dict[bytes, Entry] = {}
        self._before = base.entries() if base else {}
        self._files = known.files() if known else {}
        self.directories[path] = Wanted(self._entry("d", own, xattrs=xattrs), None, entries, self._before)
        self.learned[path] = Learned(signed, xattrs)
        for name, entry, status in found:
            self._found(name, entry, status, listing, entries)

    def _enter_all(self, listing: Listing, found: list[_Found]) -> None:
        for name, _, status in found:
            if status is None and not self._is_left_out(joined(listing.path, name), is_directory=True):
                listing.enter.append(name)

    def _is_left_out(self, path: bytes, *, is_directory: bool) -> bool:
        excluded = self._source.excluded
        return path in self._links or bool(excluded and excluded(os.fsdecode(path), is_directory))

    def _found(
        self,
        name: bytes,
        found: os.DirEntry[str],
        status: os.stat_result | None,
        listing: Listing,
        entries: dict[bytes, Entry],
    ) -> None:
        path = joined(listing.path, name)
        try:
            if path in self._links:
                status = status or found.stat(follow_symlinks=False)
                self._owners[path] = (status.st_uid, status.st_gid)
            elif self._is_left_out(path, is_directory=status is None):
                pass
            elif status is None:
                listing.enter.append(name)
            elif stat.S_ISREG(status.st_mode):
                entries[name] = self._file(path, name, status, listing)
            elif stat.S_ISLNK(status.st_mode):
                target = os.readlink(name, dir_fd=listing.fd)
                entries[name] = self._entry("l", status, len(target), target)
            else:
                self.others.append(path)
        except OSError as error:
            self._unreadable[path] = words(error)
        except NotReadable as reason:
            self._unreadable[path] = str(reason)

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._unreadable[path] = words(refusal)

    def _file(self, path: bytes, name: bytes, status: os.stat_result, listing: Listing) -> Entry:
        known, base, learned = self._files.get(name), self._before.get(name), self.learned[listing.path]
        if known is not None and known.status == status_text(status):
            learned.keep(name, known)
            return self._known_file(path, status, known, base)
        self._measure(path, status)
        entry = self._entry("f", status, status.st_size)
        if base is None or base.undigested or entry[:5] != base[:5]:
            if not os.access(name, os.R_OK, dir_fd=listing.fd, effective_ids=True):
                raise NotReadable(os.strerror(errno.EACCES))
            return entry
        read_at = time.time_ns()
        status, digest, attributes = read_file(name, listing.fd)
        xattrs = attributes_hash(attributes)
        learned.learn(name, status, read_at, digest, xattrs)
        return self._entry("f", status, status.st_size, digest, xattrs)

    def _known_file(self, path: bytes, status: os.stat_result, known: Known, base: Entry | None) -> Entry:
        if base is not None and base[6:] == (known.digest, known.xattrs, "source"):
            owner = (status.st_uid, status.st_gid) if self._as_root else (None, None)
            if base[1:4] == (stat.S_IMODE(status.st_mode), *owner):
                return base  # with the time that a new version gives it, too
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
        above, _, name = path.rpartition(b"/")
        wanted = self._directory_for(path, above)
        if wanted.kept is not None:
            return  # and the base has it
        entry = wanted.entry
        uid, gid = self._owners.get(path, (entry.uid, entry.gid)) if self._as_root else (None, None)
        link = Entry("l", 0o777, uid, gid, len(text), entry.mtime_ns, text, "", "shared")
        wanted.entries = {**wanted.entries, name: link}

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
            wanted = Wanted(made, before=there.entries() if there else {})
            self.directories[directory] = wanted
        return wanted

    @staticmethod
    def _is_in_the_way(above: Wanted, path: bytes) -> bool:
        held = above.kept.entries() if above.kept else above.entries
        return path.rpartition(b"/")[2] in held


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What a file is now; None of a directory, which is looked at when it is entered, as is what went away."""
    try:
        return None if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _so_many(names: list[str]) -> str:
    return "one path" if len(names) == 1 else f"{len(names)} paths"
