"""How entries are written and read: a line each, fields between tabs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator

from .entry import ORIGINS, Entry

_KINDS = "dflo"
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}
_NO_NAMES = (b".", b"..")
_HEX = b"0123456789abcdef"
_PIECE = 512 * 1024


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


def line_of(name: bytes, entry: Entry) -> bytes:
    """The line of what has this name in its directory, and is none."""
    kind, mode, uid, gid, size, mtime_ns, content, xattrs, origin = entry
    head = _heads[kind, mode, uid, gid, xattrs, origin]
    return b"%b\t%d\t%d\t%b\t%b" % (head, size, mtime_ns, content if kind == "f" else escaped(content), escaped(name))


_CONTENT = re.compile(rb"((?:[^\t\n]*\t){5})[^\t\n]*(\t\d+\t)\d+\t([^\n]*)", re.MULTILINE)
"""A line but for its origin and time, which are no part of what a reader sees."""


def digest_of(lines: bytes) -> bytes:
    """SHA-256 in hex of what `Entry.same_as` compares of a directory's entries, whose lines these are."""
    digest = hashlib.sha256()
    for fields in _CONTENT.findall(lines):
        digest.update(b"".join(fields) + b"\n")
    return digest.hexdigest().encode()


def with_checksum(lines: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    """These lines and the one that `checked` looks for, as the pieces of a file."""
    digest, piece, size = hashlib.sha256(), [], 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size > _PIECE:
            text = b"\n".join([*piece, b""])
            digest.update(text)
            yield text
            piece, size = [], 0
    text = b"\n".join([*piece, b""])
    digest.update(text)
    yield text + mark + digest.hexdigest().encode() + b"\n"


# ---------------------------------------------------------------- reading


def sections(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Each directory's line, without its kind, and the lines that follow it, from a text of which this part has nothing
    else. No name has a newline as it is written, so that this is where a directory begins, and nowhere else.
    `ValueError` where it does not begin so. Nothing is copied twice: there may be a hundred megabytes of it."""
    while start < end:
        if not data.startswith(b"d\t", start):
            raise ValueError("it does not begin with a directory")
        stop = data.find(b"\nd\t", start, end)
        stop = end - 1 if stop < 0 else stop
        line_end = data.find(b"\n", start, stop)
        line_end = stop if line_end < 0 else line_end
        yield data[start + 2 : line_end], data[line_end + 1 : stop]
        start = stop + 1


def checked(data: bytes, mark: bytes) -> int:
    """Where the last line of a file begins, which is this mark and the SHA-256 in hex of all before it. `ValueError` if
    it is another one."""
    end = data.rfind(b"\n" + mark) + 1
    if not end or data[end + len(mark) :] != hashlib.sha256(memoryview(data)[:end]).hexdigest().encode() + b"\n":
        raise ValueError("its checksum does not fit, or its end is missing")
    return end


Head = tuple[str, int, int | None, int | None, str, str]
"""Kind, mode, uid, gid, xattrs and origin."""


class Heads(dict[bytes, Head]):
    """What was read of the fields that many lines have in common."""

    def __missing__(self, text: bytes) -> Head:
        kind, mode_text, uid, gid, xattrs, origin = text.decode("ascii").split("\t")
        mode = int(mode_text, 8)
        if len(kind) != 1 or kind not in _KINDS or origin not in ORIGINS or not 0 <= mode <= 0o7777:
            raise ValueError(text)
        head = self[text] = (kind, mode, int(uid) if uid else None, int(gid) if gid else None, xattrs, origin)
        return head


def by_name(lines: bytes) -> dict[bytes, bytes]:
    """The lines of a directory's entries, by the names that stand last in each. `KeyError` for what is no name."""
    found = {}
    for line in lines.split(b"\n") if lines else ():
        name = line[line.rfind(b"\t") + 1 :]
        found[unescaped(name) if b"\\" in name else name] = line
    return found


def entries_in(lines: bytes, heads: Heads) -> dict[bytes, Entry]:
    """The entries of a directory, by name. `ValueError` for what is no line of an entry, or has no place there."""
    entries: dict[bytes, Entry] = {}
    before = b""
    entry = tuple.__new__
    for line in lines.split(b"\n") if lines else ():
        try:
            head, size_text, mtime_text, content, name = line.rsplit(b"\t", 4)
            kind, mode, uid, gid, xattrs, origin = heads[head]
            if b"\\" in line:
                content, name = unescaped(content), unescaped(name)
            size, mtime_ns = int(size_text), int(mtime_text)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{line!r} is no entry") from error
        if name <= before or not is_name(name) or size < 0 or not _content_fits(kind, content):
            raise ValueError(f"{line!r} cannot be an entry of this tree")
        # As Entry(…) does, at half the price: there may be a million of them.
        entries[name] = entry(Entry, (kind, mode, uid, gid, size, mtime_ns, content, xattrs, origin))
        before = name
    return entries


_FORMATS = {"d": stat.S_IFDIR, "f": stat.S_IFREG, "l": stat.S_IFLNK}


class Looks(dict[bytes, tuple[int, int | None, int | None]]):
    """What the fields that many lines have in common say of a status: `st_mode`, uid and gid."""

    def __missing__(self, text: bytes) -> tuple[int, int | None, int | None]:
        kind, mode, uid, gid, _, _ = Heads()[text]
        look = self[text] = _FORMATS.get(kind, 0) | mode, uid, gid
        return look


_looks = Looks()


def looks_as(name: bytes, status: os.stat_result, line: bytes) -> bool:
    """Whether what has this name is by its status what a line says. An empty line, and one that none can be, says
    nothing of anything."""
    try:
        head, size, mtime_ns, _, its_name = line.rsplit(b"\t", 4)
        return (
            (its_name == name or unescaped(its_name) == name)
            and status.st_mtime_ns == int(mtime_ns)
            and status.st_size == int(size)
            and (status.st_mode, status.st_uid, status.st_gid) == _looks[head]
        )
    except (ValueError, KeyError):
        return False


def is_name(name: bytes) -> bool:
    """Whether a directory can have something with this name."""
    return bool(name) and b"/" not in name and b"\0" not in name and name not in _NO_NAMES


def _content_fits(kind: str, content: bytes) -> bool:
    if kind == "f":
        return not content or (len(content) == 64 and not content.strip(_HEX))
    if kind == "l":
        return bool(content) and b"\0" not in content
    return kind == "o" and not content
