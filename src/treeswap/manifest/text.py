"""How entries are written and read: a line each, fields between tabs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

from .entry import ORIGINS, Entry

_KINDS = "flo"
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}
_HEX = b"0123456789abcdef"


def escaped(text: bytes) -> bytes:
    """A name as it stands in a file of lines and tabs."""
    if b"\\" in text or b"\t" in text or b"\n" in text:
        return re.sub(rb"[\\\t\n]", lambda match: _ESCAPES[match[0]], text)
    return text


def unescaped(text: bytes) -> bytes:
    """The name that was escaped. `KeyError` for what no escaping makes."""
    return re.sub(rb"\\.?", lambda match: _UNESCAPES[match[0]], text) if b"\\" in text else text


# ---------------------------------------------------------------- writing


class _Once(dict[tuple[object, ...], bytes]):
    """The texts of what many entries have in common, each made once: it halves the time that writing takes."""

    def __init__(self, text: Callable[..., bytes]) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, key: tuple[object, ...]) -> bytes:
        text = self[key] = self._text(*key)
        return text


def _head(kind: str, mode: int, uid: int | None, gid: int | None, xattrs: str, origin: str) -> bytes:
    owner = "\t".join("" if number is None else str(number) for number in (uid, gid))
    return f"{kind}\t{mode:04o}\t{owner}\t{xattrs}\t{origin}".encode("ascii")


_heads = _Once(_head)


def head_of(entry: Entry) -> bytes:
    """The fields that stand first in the line of an entry of any kind."""
    return _heads[entry[:4] + entry[7:9]]


def content_head_of(entry: Entry) -> bytes:
    """The same without the origin, which is no part of what a reader sees."""
    return _heads[(*entry[:4], entry[7], "")]


def lines_of(entries: Mapping[bytes, Entry]) -> tuple[bytes, bytes, int]:
    """The lines of a directory's entries, which are given in order; SHA-256 in hex of what `Entry.same_as` compares of
    them; and the sum of the files' sizes."""
    lines, contents, total = [], [], 0
    for name, (kind, mode, uid, gid, size, mtime_ns, content, xattrs, origin) in entries.items():
        if kind == "f":
            total += size
        else:
            content = escaped(content)
        if b"\\" in name or b"\t" in name or b"\n" in name:
            name = escaped(name)
        lines.append(
            b"%b\t%d\t%d\t%b\t%b" % (_heads[kind, mode, uid, gid, xattrs, origin], size, mtime_ns, content, name)
        )
        contents.append(b"%b\t%d\t%b\t%b\n" % (_heads[kind, mode, uid, gid, xattrs, ""], size, content, name))
    digest = hashlib.sha256(b"".join(contents)).hexdigest().encode()
    return b"\n".join(lines), digest, total


# ---------------------------------------------------------------- reading

Head = tuple[int, int | None, int | None, str, str]
"""Mode, uid, gid, xattrs and origin."""


class Heads(dict[bytes, Head]):
    """What was read of the fields that many lines have in common."""

    def __missing__(self, text: bytes) -> Head:
        mode_text, uid, gid, xattrs, origin = text.decode("ascii").split("\t")
        mode = int(mode_text, 8)
        if origin not in ORIGINS or not 0 <= mode <= 0o7777:
            raise ValueError(text)
        head = self[text] = (mode, int(uid) if uid else None, int(gid) if gid else None, xattrs, origin)
        return head


def entries_in(lines: bytes, heads: Heads) -> dict[bytes, Entry]:
    """The entries of a directory, by name. `ValueError` for what is no line of an entry, or has no place there."""
    entries: dict[bytes, Entry] = {}
    before = b""
    for line in lines.split(b"\n") if lines else ():
        try:
            head, size_text, mtime_text, content, name = line.rsplit(b"\t", 4)
            if b"\\" in line:
                content, name = unescaped(content), unescaped(name)
            kind = head[:1].decode("ascii")
            mode, uid, gid, xattrs, origin = heads[head[2:]]
            size = int(size_text)
            entry = Entry(kind, mode, uid, gid, size, int(mtime_text), content, xattrs, origin)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{line!r} is no entry") from error
        if head[1:2] != b"\t" or name <= before or not is_name(name) or not _content_fits(kind, size, content):
            raise ValueError(f"{line!r} cannot be an entry of this tree")
        entries[name] = entry
        before = name
    return entries


def is_name(name: bytes) -> bool:
    """Whether a directory can have something with this name."""
    return bool(name) and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def _content_fits(kind: str, size: int, content: bytes) -> bool:
    if size < 0:
        return False
    if kind == "f":
        return not content or (len(content) == 64 and not content.strip(_HEX))
    if kind == "l":
        return bool(content) and b"\0" not in content
    return kind in _KINDS and not content
