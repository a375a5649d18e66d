"""What the directories of a source were found to contain, by their status, so that what is unchanged need not be read.

A file whose device, inode, size, mtime and ctime are as they were has the content that it had: the ctime cannot be put
back. A directory is compared as a whole, by a digest of all these numbers and the names, its own among them. A cache
may be lost at any time, and one that cannot be understood, or was made under other settings, is an empty one.

    treeswap cache 1
    key                             a digest of the settings that say what of a source is looked at
    d TAB signature TAB digest TAB xattrs TAB path
    status TAB digest TAB xattrs TAB name
    …
    sha256 HEX                      of all bytes before this line

A directory's line is followed by those of the files in it; names and paths are escaped as in a manifest. `signature`
is empty where it would not be believed, `digest` is that of the directory in the version that was made of it.
"""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from . import durable
from .envelope import contents
from .manifest import escaped, text, unescaped

_HEADER = b"treeswap cache 1\n"
_CHECKSUM = b"sha256 "
_HEX = b"0123456789abcdef"
_RACY_NS = 2_000_000_000
"""What changed so shortly before it was looked at could change again without its times showing it, on a filesystem
that keeps whole seconds."""
_numbers = attrgetter("st_dev", "st_ino", "st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns")


class Known(NamedTuple):
    status: bytes
    digest: bytes
    xattrs: str


class KnownDirectory(NamedTuple):
    """What is known of one directory: `digest` is that of its `manifest.Directory`, `lines` are of the files in it."""

    signature: bytes
    digest: bytes
    xattrs: str
    lines: bytes

    def by_name(self) -> dict[bytes, bytes]:
        """The lines by name; none of them if that cannot be understood."""
        try:
            return text.by_name(self.lines)
        except KeyError:
            return {}

    def files(self) -> dict[bytes, Known]:
        """By name; none of them if the lines cannot be understood."""
        try:
            return {name: known_of(line) for name, line in self.by_name().items()}
        except ValueError:
            return {}


class Cache:
    """What is known of one tree's source, by the paths of its directories."""

    def __init__(self, key: bytes = b"", directories: dict[bytes, KnownDirectory] | None = None) -> None:
        self.key = key
        self.directories = directories if directories is not None else {}

    @classmethod
    def load(cls, path: Path, key: bytes) -> Cache:
        try:
            return cls(key, _parsed(contents(path), key))
        except (OSError, ValueError, KeyError):
            return cls(key)

    def save(self, path: Path) -> None:
        """Writes it, for its owner only. It is not durable: after a power cut, it may be another or none."""
        durable.replace_file_loosely(path, text.with_checksum(self._lines(), _CHECKSUM), 0o600)

    def _lines(self) -> Iterator[bytes]:
        yield _HEADER + self.key
        for name, (signature, digest, xattrs, lines) in self.directories.items():
            yield b"d\t%b\t%b\t%b\t%b" % (signature, digest, xattrs.encode(), escaped(name))
            if lines:
                yield lines


class Learned:
    """What becomes known of one directory while it is read and copied, told by how it differs from what was known
    `before`."""

    def __init__(self, signature: bytes, xattrs: str, before: KnownDirectory | None = None) -> None:
        self._signature = signature
        self._xattrs = xattrs
        self.before = before
        self._files: dict[bytes, bytes] = {}
        self._forgotten: set[bytes] = set()

    def learn(self, name: bytes, status: os.stat_result, read_at_ns: int, digest: bytes, xattrs: str) -> None:
        """A file with this status was read at this time, unless that was too soon after a change to be sure of it."""
        if status.st_ctime_ns <= read_at_ns - _RACY_NS:
            self._files[name] = b"%b\t%b\t%b\t%b" % (status_text(status), digest, xattrs.encode(), escaped(name))

    def forget(self, names: Iterable[bytes]) -> None:
        """What was known before of files with these names is so no more."""
        self._forgotten.update(names)

    def add(self, other: Learned) -> None:
        """What another process learned of the files in it."""
        self._files |= other._files

    def known(self, digest: bytes) -> KnownDirectory:
        """All of it. `digest` is that of the directory in the version."""
        lines = self.before.lines if self.before else b""
        if self._files or self._forgotten:
            found = self.before.by_name() if self.before else {}
            for name in self._forgotten:
                found.pop(name, None)
            lines = b"\n".join({**found, **self._files}.values())
        return KnownDirectory(self._signature, digest, self._xattrs, lines)


def known_of(line: bytes) -> Known:
    """What a file's line says. `ValueError` if it cannot be understood."""
    status, digest, xattrs, _ = line.split(b"\t")
    return Known(status, _hash(digest), _hash(xattrs, empty=True).decode())


def key_of(*settings: object) -> bytes:
    """A digest of the settings that say what of a source is looked at, and how."""
    return hashlib.sha256(repr(settings).encode("utf-8", "surrogateescape")).hexdigest().encode()


def signature(own: os.stat_result, found: Iterable[tuple[bytes, os.stat_result | None]], read_at_ns: int) -> bytes:
    """A digest of the status of a directory and of what is in it, with the names, as they were at this time; without a
    status only the name counts. Empty if something changed too shortly before to be sure of it."""
    newest = own.st_ctime_ns
    numbers: list[object] = [_numbers(own)]
    for name, status in found:
        numbers.append(name)
        if status is not None:
            these = _numbers(status)
            numbers.append(these)
            newest = max(newest, these[7])
    if newest > read_at_ns - _RACY_NS:
        return b""
    # In this version of its format equal numbers are always equal bytes.
    return hashlib.sha256(marshal.dumps(numbers, 2)).hexdigest().encode()


def status_text(status: os.stat_result) -> bytes:
    return b"%d %d %d %d %d" % (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _parsed(data: bytes, key: bytes) -> dict[bytes, KnownDirectory]:
    end = text.checked(data, _CHECKSUM)
    head = _HEADER + key + b"\n"
    if not data.startswith(head):
        raise ValueError("not a cache of this source under these settings")
    known = {}
    for line, lines in text.sections(data, len(head), end):
        signed, digest, xattrs, path = line.split(b"\t")
        known[unescaped(path)] = KnownDirectory(signed, digest, _hash(xattrs, empty=True).decode(), lines)
    return known


def _hash(text: bytes, *, empty: bool = False) -> bytes:
    """`text`, if it is a SHA-256 in hex; `ValueError` otherwise."""
    if (len(text) != 64 or text.strip(_HEX)) and not (empty and not text):
        raise ValueError("no digest")
    return text
