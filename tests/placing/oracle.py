"""What is on the disk, told by find(1), sha256sum(1), getfacl(1) and getfattr(1)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

DEEP = "at the bottom"
"""The name of files whose path may be longer than the system takes."""


class Facts(NamedTuple):
    """What find and sha256sum say of a path. `seconds` is the mtime as text, to the ns."""

    kind: str
    mode: str
    owner: str
    size: str
    seconds: str
    target: bytes
    digest: bytes

    @property
    def timeless(self) -> Facts:
        return self._replace(seconds="")


def facts(root: Path) -> dict[bytes, Facts]:
    """All paths in and below a directory."""
    form = r"%P\0%y\0%m\0%U:%G\0%s\0%T@\0%l\0"
    fields = _run(["find", ".", "-printf", form], root).split(b"\0")[:-1]
    digests = _digests(root)
    found = {}
    for i in range(0, len(fields), 7):
        path, kind, mode, owner, size, seconds, target = fields[i : i + 7]
        found[path] = Facts(
            kind.decode(),
            mode.decode(),
            owner.decode(),
            "" if kind == b"d" else size.decode(),
            seconds.decode(),
            target,
            digests.get(path, b""),
        )
    return found


def timeless(root: Path) -> dict[bytes, Facts]:
    return {path: fact.timeless for path, fact in facts(root).items()}


def _digests(root: Path) -> dict[bytes, bytes]:
    find = ["find", ".", "-type", "f"]
    paths = _run([*find, "!", "-name", DEEP, "-printf", r"%P\0"], root).split(b"\0")[:-1]
    lines = _run(["sha256sum", "--zero", "--", *paths], root).split(b"\0") if paths else [b""]
    # Those at the bottom have paths that are too long for a program: it is run where they are.
    paths += _run([*find, "-name", DEEP, "-printf", r"%P\0"], root).split(b"\0")[:-1]
    lines[-1:] = _run([*find, "-name", DEEP, "-execdir", "sha256sum", "--zero", "--", "{}", ";"], root).split(b"\0")
    return {path: line[:64] for path, line in zip(paths, lines[:-1], strict=True)}


def attributes(root: Path) -> tuple[list[bytes], list[bytes]]:
    """The ACLs and the user attributes of all paths; only for trees whose paths the system takes as a whole."""
    paths = _run(["find", ".", "!", "-type", "l", "-print0"], root).split(b"\0")[:-1]
    acls = _run(["getfacl", "--numeric", *paths], root)
    values = _run(["getfattr", "--dump", "--encoding=hex", *paths], root)
    return sorted(acls.split(b"\n\n")), sorted(values.split(b"\n\n"))


def inodes(root: Path) -> dict[bytes, int]:
    fields = _run(["find", ".", "-printf", r"%P\0%i\0"], root).split(b"\0")[:-1]
    return {fields[i]: int(fields[i + 1]) for i in range(0, len(fields), 2)}


def kilobytes(path: Path) -> int:
    """How much of the disk a file takes."""
    return int(_run(["du", "-k", str(path)], path.parent).split()[0])


def _run(command: list[str | bytes], directory: Path) -> bytes:
    return subprocess.run(command, cwd=directory, check=True, capture_output=True).stdout
