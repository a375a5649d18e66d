"""What files were found to contain, by their status, so that an unchanged file need not be read again.

A file whose device, inode, size, mtime and ctime are as they were has the content that it had: the ctime cannot be put
back. A cache may be lost at any time, and one that cannot be understood is an empty one.

    treeswap cache 1
    status TAB digest TAB xattrs TAB path, escaped as in a manifest
    sha256 HEX                      of all bytes before this line
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from . import durable
from .envelope import contents
from .manifest import escaped, unescaped

_HEADER = b"treeswap cache 1\n"
_CHECKSUM = b"sha256 "
_HEX = b"0123456789abcdef"
_RACY_NS = 2_000_000_000
"""A file that changed so shortly before it was read could change again without its times showing it, on a filesystem
that keeps whole seconds."""


class Known(NamedTuple):
    status: bytes
    digest: bytes
    xattrs: str


class Cache:
    """What is known of the files of one tree's source, by their paths."""

    def __init__(self, known: dict[bytes, Known] | None = None, *, saved: dict[bytes, Known] | None = None) -> None:
        self.known = known if known is not None else {}
        self._saved = saved

    def successor(self) -> Cache:
        """An empty one that takes this one's place; keep the files that are still there in it."""
        return Cache(saved=self._saved)

    def get(self, path: bytes, status: os.stat_result) -> Known | None:
        """What is known of this file, if nothing happened to it since."""
        known = self.known.get(path)
        return known if known is not None and known[0] == _signature(status) else None

    def learn(self, path: bytes, status: os.stat_result, read_at_ns: int, digest: bytes, xattrs: str) -> None:
        """A file with this status was read at this time, unless that was too soon after a change to be sure of it."""
        if status.st_ctime_ns <= read_at_ns - _RACY_NS:
            self.known[path] = Known(_signature(status), digest, xattrs)

    @classmethod
    def load(cls, path: Path) -> Cache:
        try:
            known = _parsed(contents(path))
        except (OSError, ValueError, KeyError):
            return cls()
        return cls(known, saved=dict(known))

    def save(self, path: Path) -> None:
        """Writes it, for its owner only, if it is not what was loaded."""
        if self.known == self._saved:
            return
        lines = [_HEADER]
        for name, (status, digest, xattrs) in self.known.items():
            lines.append(b"%b\t%b\t%b\t%b\n" % (status, digest, xattrs.encode(), escaped(name)))
        body = b"".join(lines)
        durable.replace_file_loosely(path, body + _CHECKSUM + hashlib.sha256(body).hexdigest().encode() + b"\n", 0o600)


def _signature(status: os.stat_result) -> bytes:
    return b"%d %d %d %d %d" % (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _parsed(data: bytes) -> dict[bytes, Known]:
    body, _, checksum = data.rpartition(_CHECKSUM)
    if not body.startswith(_HEADER) or checksum != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise ValueError("not a cache, or a damaged one")
    known = {}
    for line in body.split(b"\n")[1:-1]:
        status, digest, xattrs, path = line.split(b"\t")
        if len(digest) != 64 or digest.strip(_HEX):
            raise ValueError("not a digest")
        known[unescaped(path)] = Known(status, digest, xattrs.decode("ascii"))
    return known
