"""Whether a version is what was sealed: every file is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from treeswap.manifest import Entry, Manifest, joined
from treeswap.outcomes import Event, Listener, silent

from .descent import Listing, open_root, walk
from .names import shown
from .reading import NotReadable, attributes_hash, read_attributes, read_file, words
from .still import kind_of

_REPORT_EVERY = 256
_KINDS = {"d": "a directory", "f": "a file", "l": "a symlink", "o": "a socket, fifo or device"}


class Fault(NamedTuple):
    """A difference from what was sealed. `kind` is `missing`, `added`, `changed`, or `damaged` where it cannot be read;
    `path` is relative to the version, which itself is `.`; a directory's path ends in `/`."""

    kind: str
    path: str
    detail: str


def examine(
    directory: Path,
    manifest: Manifest,
    *,
    ignore: Sequence[str] = (),
    tree: str | None = None,
    listener: Listener = silent,
) -> list[Fault]:
    """All differences of a directory from its manifest, in the order of their paths.

    What is new is left out if its name fits one of the `ignore` patterns. Of a directory that is new or missing, what
    is in it is not told. Where an entry has no digest, whatever is there is no fault.
    """
    try:
        root_fd = open_root(directory)
    except OSError as error:
        return [Fault("missing", ".", words(error))]
    try:
        return _Examination(manifest, ignore, tree, listener).of(root_fd)
    except OSError as error:
        return [Fault("damaged", ".", words(error))]


class _Examination:
    def __init__(self, manifest: Manifest, ignore: Sequence[str], tree: str | None, listener: Listener) -> None:
        self._entries = manifest.entries
        self._ignore = ignore
        self._tree = tree
        self._listener = listener
        self._seen = {b""}
        self._not_entered: set[bytes] = set()
        self._faults: list[tuple[bytes, Fault]] = []

    def of(self, root_fd: int) -> list[Fault]:
        told = 0
        for listing in walk(root_fd, self._refused):
            self._directory(listing)
            for name, found in listing.entries:
                self._found(name, found, listing)
            if len(self._seen) - told >= _REPORT_EVERY:
                told = len(self._seen)
                self._listener(Event("verify", self._tree, told, len(self._entries)))
        self._look_for_missing()
        self._listener(Event("verify", self._tree, len(self._entries), len(self._entries)))
        return [fault for _, fault in sorted(self._faults)]

    def _found(self, name: bytes, found: os.DirEntry[str], listing: Listing) -> None:
        path = joined(listing.path, name)
        sealed = self._entries.get(path)
        if sealed is None:
            if not any(fnmatchcase(found.name, pattern) for pattern in self._ignore):
                self._fault("added", path, "d" if found.is_dir(follow_symlinks=False) else "f", "not sealed with it")
            return
        try:
            status = found.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        self._seen.add(path)
        kind = kind_of(status)
        if sealed.undigested:
            return
        if kind != sealed.kind:
            self._not_entered.add(path)
            self._fault("changed", path, kind, f"{_KINDS[kind]}, sealed as {_KINDS[sealed.kind]}")
        elif kind == "d":
            listing.enter.append(name)
        elif kind == "f":
            self._file(path, name, sealed, listing.fd)
        else:
            different = ["target"] * (os.readlink(name, dir_fd=listing.fd) != sealed.content)
            self._changed(path, sealed, different + _ownership(status, sealed))

    def _directory(self, listing: Listing) -> None:
        sealed = self._entries[listing.path]
        try:
            xattrs = attributes_hash(read_attributes(listing.fd))
        except NotReadable as reason:
            self._fault("damaged", listing.path, "d", str(reason))
            return
        status = os.fstat(listing.fd)
        self._changed(listing.path, sealed, _permissions(status, sealed) + ["xattrs"] * (xattrs != sealed.xattrs))

    def _file(self, path: bytes, name: bytes, sealed: Entry, directory_fd: int) -> None:
        try:
            status, digest, attributes = read_file(name, directory_fd)
        except NotReadable as reason:
            self._fault("damaged", path, "f", str(reason))
            return
        self._changed(
            path,
            sealed,
            ["content"] * (digest != sealed.content)
            + _permissions(status, sealed)
            + ["xattrs"] * (attributes_hash(attributes) != sealed.xattrs)
            + ["time"] * (status.st_mtime_ns != sealed.mtime_ns),
        )

    def _look_for_missing(self) -> None:
        for path, sealed in self._entries.items():
            if path and path.rpartition(b"/")[0] in self._not_entered:
                self._not_entered.add(path)
            elif path not in self._seen:
                self._not_entered.add(path)
                if not sealed.undigested:
                    self._fault("missing", path, sealed.kind, "sealed, and not there")

    def _refused(self, path: bytes, refusal: OSError) -> None:
        self._not_entered.add(path)
        self._fault("damaged", path, "d", words(refusal))

    def _changed(self, path: bytes, sealed: Entry, different: list[str]) -> None:
        if different:
            self._fault("changed", path, sealed.kind, ", ".join(different))

    def _fault(self, kind: str, path: bytes, path_kind: str, detail: str) -> None:
        self._faults.append((path, Fault(kind, shown(path, is_directory=path_kind == "d"), detail)))


def _permissions(status: os.stat_result, sealed: Entry) -> list[str]:
    mode = stat.S_IMODE(status.st_mode)
    return [f"mode {mode:04o}, sealed with {sealed.mode:04o}"] * (mode != sealed.mode) + _ownership(status, sealed)


def _ownership(status: os.stat_result, sealed: Entry) -> list[str]:
    owner = (status.st_uid, status.st_gid)
    kept = (sealed.uid, sealed.gid)
    return [] if kept in ((None, None), owner) else [f"owner {owner[0]}:{owner[1]}, sealed with {kept[0]}:{kept[1]}"]
