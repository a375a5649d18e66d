"""What a tree contains: an entry for each path, as text that any damage shows in, and the comparison of two trees.

    treeswap manifest 1
    d TAB mode TAB uid TAB gid TAB xattrs TAB origin TAB mtime in ns TAB files TAB bytes TAB digest TAB path
    kind TAB mode TAB uid TAB gid TAB xattrs TAB origin TAB size TAB mtime in ns TAB content TAB name
    …
    sha256 HEX                      of all bytes before this line

In every format the first line names it and the last one is this checksum. A directory's line is followed by those of
what is in it but directories, in the bytewise order of the names; the directories stand in that of their paths, so that
each comes after the one it is in. `files`, `bytes` and `digest` are of what is directly in the directory. A field
without a value is empty. In targets, names and paths a backslash, a tab and a newline are `\\\\`, `\\t` and `\\n`;
all other bytes are as they are.

A directory is the unit of all work on large trees: what did not change in it is compared by one digest, and written
again as the bytes that it is.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from treeswap.errors import Damaged, NewerFormat

from . import text
from .entry import ORIGINS, Entry, joined
from .text import escaped, looks_as, unescaped

__all__ = [
    "FORMAT",
    "ORIGINS",
    "Directory",
    "Entry",
    "Manifest",
    "compare",
    "entry_of",
    "escaped",
    "joined",
    "line_of",
    "looks_as",
    "unescaped",
]

FORMAT = 1

_HEADER = b"treeswap manifest "
_CHECKSUM = b"sha256 "

Bytes = bytes  # in the classes below, `bytes` is how many


class Directory(NamedTuple):
    """A directory of a tree: its own entry, and what is directly in it, other directories left out.

    `files` is how many these are, `bytes` the sum of the files' sizes, `digest` the SHA-256 in hex of all that
    `Entry.same_as` compares of them, `lines` what a manifest says of them.
    """

    entry: Entry
    files: int
    bytes: int
    digest: Bytes
    lines: Bytes

    @classmethod
    def of(cls, entry: Entry, entries: Mapping[Bytes, Entry]) -> Directory:
        """A directory with these entries, by name."""
        lines = {name: text.line_of(name, one) for name, one in entries.items()}
        return cls.of_lines(entry, lines, sum(one.size for one in entries.values() if one.kind == "f"))

    @classmethod
    def of_lines(cls, entry: Entry, lines: Mapping[Bytes, Bytes], size: int) -> Directory:
        """A directory whose entries these are, by name, with the sum of the files' sizes."""
        joint = b"\n".join([lines[name] for name in sorted(lines)])
        return cls(entry, len(lines), size, text.digest_of(joint), joint)

    def by_name(self) -> dict[Bytes, Bytes]:
        """The lines by the names of their entries, in order. `Damaged` as `entries`, as far as it shows."""
        try:
            return text.by_name(self.lines)
        except KeyError as error:
            raise Damaged("a manifest is damaged", cause=f"{error} is no name") from error

    def entries(self) -> dict[Bytes, Entry]:
        """By name, in order, read anew at each call. `Damaged` if the lines are none that a manifest may have."""
        try:
            return text.entries_in(self.lines, _heads)
        except ValueError as error:
            raise Damaged("a manifest is damaged", cause=error) from error


_heads = text.Heads()


def entry_of(line: bytes) -> Entry:
    """The entry that a line says. `Damaged` if it is none that a manifest may have."""
    try:
        (entry,) = text.entries_in(line, _heads).values()
    except ValueError as error:
        raise Damaged("a manifest is damaged", cause=error) from error
    return entry


def line_of(name: bytes, entry: Entry) -> bytes:
    """The line of what has this name in its directory, and is none itself."""
    return text.line_of(name, entry)


class Manifest:
    """The directories of one tree by path: bytes relative to the tree, whose own path is `b""`."""

    __slots__ = ("_digest", "_entries", "directories")

    def __init__(self, directories: Mapping[Bytes, Directory]) -> None:
        self.directories: dict[Bytes, Directory] = dict(sorted(directories.items()))
        self._entries: dict[Bytes, Entry] | None = None
        self._digest: str | None = None

    @classmethod
    def of(cls, entries: Mapping[Bytes, Entry]) -> Manifest:
        """The manifest of a tree with these entries, by path."""
        inside: defaultdict[Bytes, dict[Bytes, Entry]] = defaultdict(dict)
        for path, entry in entries.items():
            if entry.kind != "d":
                above, _, name = path.rpartition(b"/")
                inside[above][name] = entry
        directories = ((path, entry) for path, entry in entries.items() if entry.kind == "d")
        return cls({path: Directory.of(entry, inside[path]) for path, entry in directories})

    @property
    def entries(self) -> dict[Bytes, Entry]:
        """Every entry by path, in the bytewise order of the paths. `Damaged` as `Directory.entries`."""
        if self._entries is None:
            found = {path: directory.entry for path, directory in self.directories.items()}
            for path, directory in self.directories.items():
                for name, entry in directory.entries().items():
                    if found.setdefault(joined(path, name), entry) is not entry:
                        raise Damaged("a manifest is damaged", cause=f"{joined(path, name)!r} is two things in it")
            self._entries = dict(sorted(found.items()))
        return self._entries

    @property
    def files(self) -> int:
        """How many files and symlinks there are, and sockets, fifos and devices."""
        return sum(directory.files for directory in self.directories.values())

    @property
    def bytes(self) -> int:
        """The sum of the files' sizes."""
        return sum(directory.bytes for directory in self.directories.values())

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all that `Entry.same_as` compares."""
        if self._digest is None:
            lines = (
                b"%b\t%b\t%b\n" % (text.content_head_of(directory.entry), directory.digest, escaped(path))
                for path, directory in self.directories.items()
            )
            self._digest = hashlib.sha256(b"".join(lines)).hexdigest()
        return self._digest

    def dump(self) -> Bytes:
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[Bytes]:
        """What `dump` gives, one after the other: there may be a hundred megabytes of it."""
        return text.with_checksum(self._lines(), _CHECKSUM)

    def _lines(self) -> Iterator[Bytes]:
        yield _HEADER + b"%d" % FORMAT
        for path, (entry, files, size, digest, lines) in self.directories.items():
            fields = (text.head_of(entry), entry.mtime_ns, files, size, digest, escaped(path))
            yield b"%b\t%d\t%d\t%d\t%b\t%b" % fields
            if lines:
                yield lines

    @classmethod
    def load(cls, data: Bytes, what: str) -> Manifest:
        """The manifest that was dumped as `data`. `Damaged` and `NewerFormat` name it as `what`."""
        try:
            return cls(_directories(data, what))
        except ValueError as error:
            raise Damaged(f"{what} is damaged", cause=error) from error


def compare(old: Manifest, new: Manifest) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The paths added, changed and removed from `old` to `new`, directories among them; times are no change."""
    before, after = _unlike(old, new), _unlike(new, old)
    added = [path for path in after if path not in before]
    changed = [path for path, entry in after.items() if path in before and not entry.same_as(before[path])]
    removed = [path for path in before if path not in after]
    return sorted(added), sorted(changed), sorted(removed)


def _unlike(manifest: Manifest, other: Manifest) -> dict[bytes, Entry]:
    """The entries by path, but for those in directories that hold the same in the other one."""
    found = {}
    for path, directory in manifest.directories.items():
        found[path] = directory.entry
        there = other.directories.get(path)
        if there is None or there.digest != directory.digest:
            found.update((joined(path, name), entry) for name, entry in directory.entries().items())
    return found


# ---------------------------------------------------------------- reading


def _directories(data: bytes, what: str) -> dict[bytes, Directory]:
    end = text.checked(data, _CHECKSUM)
    header, _, _ = data[:64].partition(b"\n")
    number = header.removeprefix(_HEADER)
    if not (header.startswith(_HEADER) and number.isdigit()):
        raise ValueError("it does not begin like a manifest")
    if int(number) > FORMAT:
        raise NewerFormat(
            f"{what} has format {int(number)}, and this treeswap reads up to {FORMAT}",
            hint="use the treeswap that made it, or a newer one",
        )
    directories: dict[bytes, Directory] = {}
    last = None
    for count, (line, lines) in enumerate(text.sections(data, len(header) + 1, end), 1):
        try:
            path, directory = _directory(line, lines)
        except (ValueError, KeyError) as error:
            raise ValueError(f"the line of directory {count} is none") from error
        if (last is not None and path <= last) or not _has_place(path, directories):
            raise ValueError(f"directory {count} cannot be one of this tree")
        directories[path] = directory
        last = path
    if b"" not in directories:
        raise ValueError("it has no entry for the tree itself")
    return directories


def _directory(line: bytes, lines: bytes) -> tuple[bytes, Directory]:
    head, mtime_ns, files, size, digest, path = line.rsplit(b"\t", 5)
    _, mode, uid, gid, xattrs, origin = _heads[b"d\t" + head]
    entry = Entry("d", mode, uid, gid, 0, int(mtime_ns), b"", xattrs, origin)
    return unescaped(path), Directory(entry, int(files), int(size), digest, lines)


def _has_place(path: bytes, before: Mapping[bytes, Directory]) -> bool:
    """Whether this may be the next directory. The one it is in was looked at before it, so every part of it was."""
    if not path:
        return True
    above, slash, name = path.rpartition(b"/")
    return text.is_name(name) and above in before and not (slash and not above)
