"""What a directory contains that was not made by us: a live one that is to be adopted, a stage after a build."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from treeswap.errors import Failed
from treeswap.manifest import Entry, Manifest, joined
from treeswap.outcomes import Event, Listener, silent

from .descent import Listing, open_root, walk
from .reading import NotReadable, attributes_hash, read_attributes, read_file, words

_REPORT_EVERY = 256


def shared_links(shared: Iterable[str], shared_root: Path) -> dict[bytes, bytes]:
    """The paths of a tree that are links to shared paths, and the text of those links."""
    paths = (path.rstrip("/") for path in shared)
    return {os.fsencode(path): os.fsencode(shared_root / path) for path in paths}


def survey(
    directory: Path,
    *,
    shared: Iterable[str] = (),
    shared_root: Path = Path("/"),
    origin: str = "adopted",
    tree: str | None = None,
    listener: Listener = silent,
) -> Manifest:
    """Reads a whole directory, however its files are: what cannot be read or does not hold still is an entry without a
    digest, and so are sockets, fifos and devices, and directories that cannot be listed.

    Shared paths are not looked into; each is entered as the link that it becomes. Owners are kept by root only.
    `Failed` if there is no directory.
    """
    try:
        return _Survey(shared_links(shared, shared_root), origin, tree, listener).of(open_root(directory))
    except OSError as error:
        raise Failed(f"{directory} cannot be read", cause=words(error)) from error


class _Survey:
    def __init__(self, links: dict[bytes, bytes], origin: str, tree: str | None, listener: Listener) -> None:
        self.entries: dict[bytes, Entry] = {}
        self._links = links
        self._as_root = os.geteuid() == 0
        self._origin = origin
        self._tree = tree
        self._listener = listener

    def of(self, root_fd: int) -> Manifest:
        root = os.fstat(root_fd)
        self.entries[b""] = self._entry("d", root)
        done = 0
        for listing in walk(root_fd, self._refused):
            self._enter_all(listing)
            if len(self.entries) - done >= _REPORT_EVERY:
                done = len(self.entries)
                self._listener(Event("build" if self._origin == "build" else "adopt", self._tree, done))
        return Manifest.of(self.entries)

    def _enter_all(self, listing: Listing) -> None:
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
            self.entries[listing.path] = self._entry("d", os.fstat(listing.fd), xattrs=xattrs)
        except NotReadable:
            pass  # what its own directory said of it stays
        for name, found in listing.entries:
            path = joined(listing.path, name)
            try:
                self.entries[path] = self._entry_of(path, name, found, listing)
            except FileNotFoundError:
                continue  # gone since it was listed

    def _entry_of(self, path: bytes, name: bytes, found: os.DirEntry[str], listing: Listing) -> Entry:
        status = found.stat(follow_symlinks=False)
        if path in self._links:
            text = self._links[path]
            return self._entry("l", status, size=len(text), content=text)._replace(mode=0o777, origin="shared")
        if stat.S_ISREG(status.st_mode):
            try:
                status, digest, attributes = read_file(name, listing.fd)
                return self._entry("f", status, status.st_size, digest, attributes_hash(attributes))
            except NotReadable:
                return self._entry("f", status, status.st_size)
        if stat.S_ISLNK(status.st_mode):
            text = os.readlink(name, dir_fd=listing.fd)
            return self._entry("l", status, len(text), text)
        if stat.S_ISDIR(status.st_mode):
            listing.enter.append(name)
            return self._entry("d", status)
        return self._entry("o", status)

    def _entry(self, kind: str, status: os.stat_result, size: int = 0, content: bytes = b"", xattrs: str = "") -> Entry:
        uid, gid = (status.st_uid, status.st_gid) if self._as_root else (None, None)
        mode = stat.S_IMODE(status.st_mode)
        return Entry(kind, mode, uid, gid, size, status.st_mtime_ns, content, xattrs, self._origin)

    def _refused(self, path: bytes, refusal: OSError) -> None:
        if not path:
            raise refusal
        if path in self.entries:
            self.entries[path] = self.entries[path]._replace(kind="o")
