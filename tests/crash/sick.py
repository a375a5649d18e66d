"""What a sick disk, or a hand, does to a version: each harm with what `verify` must name, and nothing else."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .fuzz import flipped

Named = set[tuple[str, str]]
"""Kinds and paths of problems."""


@dataclass(frozen=True, slots=True)
class Harm:
    """`does` is done to the version's directory; `named` is what `verify` must find there."""

    what: str
    does: Callable[[Path], object]
    named: Named

    def __str__(self) -> str:
        return self.what


def rich_tree(root: Path) -> None:
    """A tree with every kind of entry that a release may have."""
    files = {"f": b"content", "empty": b"", "big": bytes(range(256)) * 300, "sub/g": b"g", "sub/deep/er/h": b"h"}
    files |= {"caf\udce9": b"bytes", "line\nbreak": b"l", ".hidden": b"dot", "back\\slash\ttab": b"t"}
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "f").chmod(0o750)
    (root / "closed").mkdir(mode=0o700)
    (root / "link").symlink_to("f")
    (root / "sub/dangling").symlink_to("nowhere\udcff")
    os.link(root / "f", root / "twin")


def harms(version: Path) -> Iterator[Harm]:
    """Every harm to every entry of a version."""
    for here, directories, files in os.walk(version):
        for name in (*directories, *files):
            path = Path(here, name)
            relative = os.path.relpath(path, version)
            if path.is_symlink():
                yield from _of_link(relative)
            elif path.is_dir():
                yield from _of_directory(f"{relative}/", relative)
            else:
                yield from _of_file(relative, path.stat().st_size)
    yield from _of_directory(".", "")


def _of_file(path: str, size: int) -> Iterator[Harm]:
    bits = sorted({0, 7, size * 4, size * 8 - 1}) if size else []
    for bit in bits:
        yield _harm(f"bit {bit} of {path!r} flipped, its time kept", path, "changed", partial(_flip, bit=bit))
    yield _harm(f"{path!r} longer", path, "changed", lambda p: _rewrite(p, p.read_bytes() + b"\0"))
    if size:
        yield _harm(f"{path!r} shorter", path, "changed", lambda p: _rewrite(p, p.read_bytes()[:-1]))
        yield _harm(f"{path!r} zeroed", path, "changed", lambda p: _rewrite(p, bytes(size) if size > 1 else b"\0"))
    yield _harm(f"{path!r} at another time", path, "changed", lambda p: os.utime(p, (0, 0)))
    yield _harm(f"{path!r} of another mode", path, "changed", lambda p: p.chmod(p.stat().st_mode ^ stat.S_IXOTH))
    yield _harm(f"{path!r} setuid", path, "changed", lambda p: p.chmod(p.stat().st_mode | stat.S_ISUID))
    yield _harm(f"{path!r} gone", path, "missing", Path.unlink)
    yield from _of_another_kind(path, ("directory", "link", "fifo"))


def _of_link(path: str) -> Iterator[Harm]:
    yield _harm(f"{path!r} to elsewhere", path, "changed", lambda p: _replaced(p, lambda q: q.symlink_to("elsewhere")))
    yield _harm(f"{path!r} gone", path, "missing", Path.unlink)
    yield from _of_another_kind(path, ("directory", "file", "fifo"))


def _of_directory(shown: str, path: str) -> Iterator[Harm]:
    for name in ("added", ".added", "a\nb", "ad\udcff", ".added.0123456789abcdef.tswap", "current"):
        new = os.path.join(path, name)
        yield Harm(f"{new!r} added", _at(new, lambda p: p.write_text("new")), {("added", new)})
    new = os.path.join(path, "below")
    yield Harm(f"{new!r} added", _at(new, lambda p: (p / "deep").mkdir(parents=True)), {("added", f"{new}/")})
    yield Harm(f"{new!r} added", _at(new, lambda p: p.symlink_to("/")), {("added", new)})
    mode = {("changed", shown)}
    yield Harm(f"{shown!r} of another mode", _at(path, lambda p: p.chmod(p.stat().st_mode ^ 0o001)), mode)
    if path:
        yield Harm(f"{shown!r} gone", _at(path, shutil.rmtree), {("missing", shown)})
        yield from _of_another_kind(path, ("file", "link", "fifo"))


def _of_another_kind(path: str, kinds: tuple[str, ...]) -> Iterator[Harm]:
    makers: dict[str, Callable[[Path], object]] = {
        "directory": Path.mkdir,
        "file": lambda p: p.write_bytes(b""),
        "link": lambda p: p.symlink_to("f"),
        "fifo": os.mkfifo,
    }
    for kind in kinds:
        shown = f"{path}/" if kind == "directory" else path
        yield Harm(f"{path!r} a {kind} now", _at(path, partial(_replaced, make=makers[kind])), {("changed", shown)})


def _harm(what: str, path: str, kind: str, does: Callable[[Path], object]) -> Harm:
    return Harm(what, _at(path, does), {(kind, path)})


def _at(path: str, does: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda version: does(version / path)


def _flip(path: Path, bit: int) -> None:
    _rewrite(path, flipped(path.read_bytes(), bit))


def _rewrite(path: Path, data: bytes) -> None:
    """Other content in the same inode, with the time that it had."""
    status = path.stat()
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replaced(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)
