"""What a tree contains: an entry for each path, as text that any damage shows in, and the comparison of two trees.

    treeswap manifest 1
    kind TAB mode TAB uid TAB gid TAB xattrs TAB origin TAB size TAB mtime in ns TAB content TAB path
    …
    sha256 HEX                      of all bytes before this line

In every format the first line names it and the last one is this checksum. Entries stand in the bytewise order of their
paths, so that a directory comes before what is in it. A field without a value is empty. In link targets and paths a
backslash, a tab and a newline are written `\\\\`, `\\t` and `\\n`; all other bytes are as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .errors import Damaged, NewerFormat

FORMAT = 1
ORIGINS = ("source", "shared", "build", "adopted", "carried")
"""Where an entry came from: the source; a link to a shared path, or a directory made to hold one; a build command; a
live directory that was adopted; an older release whose files stay for a while."""

_HEADER = b"treeswap manifest "
_CHECKSUM = b"sha256 "
_KINDS = "dflo"
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}
_HEX = b"0123456789abcdef"


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


class Manifest:
    """The entries of one tree by path: bytes relative to the tree, whose own entry is `b""`."""

    __slots__ = ("_digest", "entries")

    def __init__(self, entries: Mapping[bytes, Entry]) -> None:
        self.entries: dict[bytes, Entry] = dict(sorted(entries.items()))
        self._digest: str | None = None

    @property
    def files(self) -> int:
        """How many files and symlinks there are."""
        return sum(1 for entry in self.entries.values() if entry.kind in "fl")

    @property
    def bytes(self) -> int:
        """The sum of the files' sizes."""
        return sum(entry.size for entry in self.entries.values() if entry.kind == "f")

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all that `Entry.same_as` compares."""
        if self._digest is None:
            self._digest = hashlib.sha256(_content_lines(self.entries)).hexdigest()
        return self._digest

    def dump(self) -> Bytes:
        body = _lines(self.entries)
        return body + _CHECKSUM + hashlib.sha256(body).hexdigest().encode() + b"\n"

    @classmethod
    def load(cls, data: Bytes, what: str) -> Manifest:
        """The manifest that was dumped as `data`. `Damaged` and `NewerFormat` name it as `what`."""
        try:
            lines = _checked_lines(data, what)
            return cls(_parsed(lines))
        except ValueError as error:
            raise Damaged(f"{what} is damaged", cause=error) from error


Bytes = bytes  # in the class above, `bytes` is how many


def compare(old: Manifest, new: Manifest) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The paths added, changed and removed from `old` to `new`, directories among them; times are no change."""
    before, after = old.entries, new.entries
    added = [path for path in after if path not in before]
    changed = [path for path, entry in after.items() if path in before and not entry.same_as(before[path])]
    removed = [path for path in before if path not in after]
    return added, changed, removed


def joined(directory: bytes, name: bytes) -> bytes:
    """The path of what is called `name` in a directory of the tree."""
    return directory + b"/" + name if directory else name


# ---------------------------------------------------------------- writing


class _Once(dict[tuple[object, ...], bytes]):
    """The texts of what many entries have in common, each made once: it halves the time that a dump takes."""

    def __init__(self, text: Callable[..., bytes]) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, key: tuple[object, ...]) -> bytes:
        text = self[key] = self._text(*key)
        return text


def _lines(entries: Mapping[bytes, Entry]) -> bytes:
    heads = _Once(_head)
    lines = [_HEADER + b"%d\n" % FORMAT]
    for path, (kind, mode, uid, gid, size, mtime_ns, content, xattrs, origin) in entries.items():
        if kind == "l":
            content = escaped(content)
        if b"\\" in path or b"\t" in path or b"\n" in path:
            path = escaped(path)
        head = heads[kind, mode, uid, gid, xattrs, origin]
        lines.append(b"%b\t%d\t%d\t%b\t%b\n" % (head, size, mtime_ns, content, path))
    return b"".join(lines)


def _content_lines(entries: Mapping[bytes, Entry]) -> bytes:
    heads = _Once(_head)
    lines = []
    for path, (kind, mode, uid, gid, size, _, content, xattrs, _) in entries.items():
        head = heads[kind, mode, uid, gid, xattrs, ""]
        lines.append(b"%b\t%d\t%b\t%b\n" % (head, size, escaped(content), escaped(path)))
    return b"".join(lines)


def _head(kind: str, mode: int, uid: int | None, gid: int | None, xattrs: str, origin: str) -> bytes:
    owner = "\t".join("" if number is None else str(number) for number in (uid, gid))
    return f"{kind}\t{mode:04o}\t{owner}\t{xattrs}\t{origin}".encode("ascii")


def escaped(text: bytes) -> bytes:
    """A name as it stands in a file of lines and tabs."""
    if b"\\" in text or b"\t" in text or b"\n" in text:
        return re.sub(rb"[\\\t\n]", lambda match: _ESCAPES[match[0]], text)
    return text


# ---------------------------------------------------------------- reading


def _checked_lines(data: bytes, what: str) -> list[bytes]:
    """The lines between header and checksum, after both were looked at."""
    body, mark, checksum = data.rpartition(b"\n" + _CHECKSUM)
    body += b"\n"
    if not mark or checksum != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise ValueError("its checksum does not fit, or its end is missing")
    lines = body.split(b"\n")
    number = lines[0].removeprefix(_HEADER)
    if not (lines[0].startswith(_HEADER) and number.isdigit()):
        raise ValueError("it does not begin like a manifest")
    if int(number) > FORMAT:
        raise NewerFormat(
            f"{what} has format {int(number)}, and this treeswap reads up to {FORMAT}",
            hint="use the treeswap that made it, or a newer one",
        )
    return lines[1:-1]


_Head = tuple[str, int, int | None, int | None, str, str]


def _parsed(lines: list[bytes]) -> dict[bytes, Entry]:
    entries: dict[bytes, Entry] = {}
    heads: dict[bytes, _Head] = {}
    for number, line in enumerate(lines, 2):
        try:
            head, size, mtime_ns, content, path = line.rsplit(b"\t", 4)
            if b"\\" in line:
                content, path = unescaped(content), unescaped(path)
            if head not in heads:
                heads[head] = _parsed_head(head)
            kind, mode, uid, gid, xattrs, origin = heads[head]
            entry = Entry(kind, mode, uid, gid, int(size), int(mtime_ns), content, xattrs, origin)
        except (ValueError, KeyError) as error:
            raise ValueError(f"line {number} is no entry") from error
        if path in entries or not _path_fits(path, kind, entries) or not _content_fits(entry):
            raise ValueError(f"line {number} cannot be an entry of this tree")
        entries[path] = entry
    if b"" not in entries:
        raise ValueError("it has no entry for the tree itself")
    return entries


def _parsed_head(head: bytes) -> _Head:
    kind, mode_text, uid, gid, xattrs, origin = head.decode("ascii").split("\t")
    mode = int(mode_text, 8)
    if kind not in _KINDS or len(kind) != 1 or origin not in ORIGINS or not 0 <= mode <= 0o7777:
        raise ValueError(head)
    return kind, mode, int(uid) if uid else None, int(gid) if gid else None, xattrs, origin


def unescaped(text: bytes) -> bytes:
    """The name that was escaped. `KeyError` for what no escaping makes."""
    return re.sub(rb"\\.?", lambda match: _UNESCAPES[match[0]], text)


def _path_fits(path: bytes, kind: str, before: Mapping[bytes, Entry]) -> bool:
    """Whether this may be the next path. Its directory was looked at before it, so every part of it was."""
    parent, slash, name = path.rpartition(b"/")
    if not name:
        return not slash and kind == "d"
    if name in (b".", b"..") or b"\0" in name or (slash and not parent):
        return False
    above = before.get(parent)
    return above is not None and above.kind == "d"


def _content_fits(entry: Entry) -> bool:
    kind, _, _, _, size, _, content, *_ = entry
    if size < 0:
        return False
    if kind == "f":
        return not content or (len(content) == 64 and not content.strip(_HEX))
    if kind == "l":
        return bool(content) and b"\0" not in content
    return not content
