"""One path of a tree."""

from __future__ import annotations

from typing import NamedTuple

ORIGINS = ("source", "shared", "build", "adopted", "carried")
"""Where an entry came from: the source; a link to a shared path, or a directory made to hold one; a build command; a
live directory that was adopted; an older release whose files stay for a while."""


class Entry(NamedTuple):
    """One path of a tree.

    `kind` is `f`ile, `d`irectory, `l`ink, or `o`ther: a socket, fifo or device, which only an adopted tree has. `mode`
    are the permission bits with setuid, setgid and sticky; `uid` and `gid` are None where owners are not kept.
    `content` is a file's SHA-256 in hex, or empty where it was not read; a link's target; empty for the rest, as `size`
    is 0. `xattrs` is a hash of the user attributes and POSIX ACLs, or empty where there are none.
    """

    kind: str
    mode: int
    uid: int | None
    gid: int | None
    size: int
    mtime_ns: int
    content: bytes
    xattrs: str
    origin: str

    def same_as(self, other: Entry) -> bool:
        """Whether both are the same to a reader: everything but the times and the origin."""
        return self[:5] == other[:5] and self[6:8] == other[6:8]

    @property
    def undigested(self) -> bool:
        """Whether the content was not read when the entry was made, so that nothing can be said about it."""
        return self.kind == "o" or (self.kind == "f" and not self.content)


def joined(directory: bytes, name: bytes) -> bytes:
    """The path of what is called `name` in a directory of the tree."""
    return directory + b"/" + name if directory else name
