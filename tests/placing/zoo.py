"""A tree of everything that a filesystem allows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .oracle import DEEP

NAMES = [
    b"plain.txt",
    b"with space",
    b"new\nline",
    b"tab\there",
    b"back\\slash",
    b"\\n",
    b"-rf",
    b"*",
    b"quote'\"",
    b"\xff\xfe not utf-8",
    "žluťoučký 🐎".encode(),
    b"\x01\x7f",
    b"...",
    b"n" * 255,
]
LONG = 24
"""Directories of 200-byte names below each other: longer together than any path that the system takes."""


def build(root: Path, *, as_root: bool) -> None:
    """Fills a directory, which must be there."""
    os.mkdir(root / "names")
    for i, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(root), b"names", name)
        _write(path, name * i)
    _links(root)
    _modes(root, as_root=as_root)
    holes(root)
    _times(root)
    os.makedirs(root / "empty" / "emptier")
    _write(os.fsencode(root / "big"), os.urandom(3_000_001))
    deep(root, "long", [b"d" * 200] * LONG)
    deep(root, "deep", [b"d"] * 300)


def decorate(root: Path) -> None:
    """Adds ACLs and user attributes."""
    os.mkdir(root / "acl")
    _write(os.fsencode(root / "acl" / "file"), b"secret")
    (root / "acl" / "sub").mkdir()
    run("setfacl", "-m", "u:1234:rwx,g:4321:r", str(root / "acl" / "file"))
    run("setfacl", "-m", "u:77:rx", str(root / "acl" / "sub"))
    run("setfacl", "-d", "-m", "u:1234:rwx,o::-", str(root / "acl" / "sub"))
    run("setfacl", "-d", "-m", "g:99:rwx", str(root / "acl"))
    _write(os.fsencode(root / "tagged"), b"x")
    os.chmod(root / "tagged", 0o444)
    for path in (root / "tagged", root / "acl", root):
        os.setxattr(path, "user.origin", b"\0binary\xff\n")
        os.setxattr(path, "user.\u017e", b"")


def deep(root: Path, name: str, names: list[bytes]) -> None:
    """Directories below each other, with a file in the last."""
    os.mkdir(root / name)
    fd = os.open(root / name, os.O_RDONLY)
    for below in names:
        os.mkdir(below, dir_fd=fd)
        fd, above = os.open(below, os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
    file = os.open(DEEP, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
    os.write(file, b"deep")
    os.close(file)
    os.close(fd)


def _links(root: Path) -> None:
    os.mkdir(root / "links")
    targets = {"dangling": "nowhere", "dir": "../names", "absolute": "/etc/passwd", "loop": "loop", "dot": "."}
    for name, target in targets.items():
        os.symlink(target, root / "links" / name)
    os.symlink(b"tab\tnew\nline\\\xff" + b"x" * 900, os.fsencode(root / "links" / "odd"))


def _modes(root: Path, *, as_root: bool) -> None:
    os.mkdir(root / "modes")
    modes = [0o400, 0o644, 0o777, 0o4755, 0o2755, 0o6711, 0o1644] + [0o0, 0o111] * as_root
    for i, mode in enumerate(modes):
        path = root / "modes" / f"{mode:04o}"
        _write(os.fsencode(path), b"%o" % mode)
        if as_root:
            os.chown(path, 1000 + i, 2000 + i)
        os.chmod(path, mode)
    for mode in (0o555, 0o500, 0o1777, 0o2775):
        directory = root / "modes" / f"dir-{mode:04o}"
        directory.mkdir()
        _write(os.fsencode(directory / "inside"), b"inside")
        (directory / "below").mkdir()
        if as_root:
            os.chown(directory, 1234, 4321)
            os.symlink("inside", directory / "link")
            os.chown(directory / "link", 55, 66, follow_symlinks=False)
        os.chmod(directory, mode)


def holes(root: Path) -> None:
    """Adds files with holes."""
    os.mkdir(root / "holes")
    megabyte = 1 << 20
    parts_of: dict[str, list[tuple[int, bytes | None]]] = {
        "middle": [(0, b"begin"), (8 * megabyte, b"end")],
        "first": [(6 * megabyte, b"end")],
        "last": [(0, b"begin"), (5 * megabyte, None)],
        "only": [(7 * megabyte, None)],
        "many": [(i * megabyte, os.urandom(4096)) for i in range(1, 9, 2)],
    }
    for name, parts in parts_of.items():
        fd = os.open(root / "holes" / name, os.O_WRONLY | os.O_CREAT, 0o644)
        for offset, data in parts:
            os.ftruncate(fd, offset)
            if data is not None:
                os.pwrite(fd, data, offset)
        os.close(fd)


def _times(root: Path) -> None:
    os.mkdir(root / "times")
    for name, ns in {
        "old": 1_000_000_000_123_456_789,
        "before 1970": -86_400_000_000_000,
        "future": 4_000_000_000_000_000_001 // 2,
        "dir": 1_234_567_890_987_654_321,
    }.items():
        path = root / "times" / name
        path.mkdir() if name == "dir" else _write(os.fsencode(path), b"x")
        os.utime(path, ns=(ns, ns))
    os.symlink("old", root / "times" / "link")
    os.utime(root / "times" / "link", ns=(1, 1_111_111_111_111_111_111), follow_symlinks=False)
    os.utime(root / "times", ns=(1, 999_999_999_999_999_999))


def _write(path: bytes, data: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(data)


def run(*command: str) -> None:
    """Runs a program, which has to succeed."""
    subprocess.run(command, check=True)
