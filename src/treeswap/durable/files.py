"""Files: replaced in one step, by way of a temporary name, appended to, cut and removed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .syncing import fsync_directory

_TEMPORARY_SUFFIX = ".tswap"


# ---------------------------------------------------------------- names that are ours to sweep


def temporary_name(stem: str) -> str:
    """A random name that `is_temporary` knows again: a fixed one, left by a crash, would block every later run."""
    return f".{stem[:40]}.{os.urandom(8).hex()}{_TEMPORARY_SUFFIX}"


def is_temporary(name: str) -> bool:
    stem, dot, rest = name.removesuffix(_TEMPORARY_SUFFIX).rpartition(".")
    return (
        name.endswith(_TEMPORARY_SUFFIX)
        and bool(dot)
        and stem.startswith(".")
        and len(rest) == 16
        and all(c in "0123456789abcdef" for c in rest)
    )


# ---------------------------------------------------------------- writing and removing


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes every byte, however short the single writes are."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Puts a file with this content and mode at `path`, durable, in one step: a reader sees the old or the new one."""
    replace_file_whole(path, data, mode)
    fsync_directory(path.parent)


def replace_file_whole(path: Path, data: bytes, mode: int) -> None:
    """As `replace_file`, but not durable by itself: after a power cut there is the old one, or the new one, whole."""
    _replace_file(path, [data], mode, whole=True)


def replace_file_loosely(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """As `replace_file` with all these pieces, but not durable by itself: after a power cut the file may be there with
    any content. For what a `Barrier` follows, and for what may be lost and shows it."""
    _replace_file(path, pieces, mode, whole=False)


def _replace_file(path: Path, pieces: Iterable[bytes], mode: int, *, whole: bool) -> None:
    temporary = path.parent / temporary_name(path.name)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            os.fchmod(fd, mode)
            for piece in pieces:
                write_all(fd, piece)
            if whole:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def append(fd: int, data: bytes) -> None:
    """Appends to an open file, durable."""
    write_all(fd, data)
    os.fsync(fd)


def append_loosely(fd: int, data: bytes) -> None:
    """As `append`, but not durable by itself; an `append` that follows makes it so."""
    write_all(fd, data)


def cut(fd: int, length: int) -> None:
    """Cuts an open file to `length` bytes. Not durable by itself; an `append` that follows makes it so."""
    os.ftruncate(fd, length)


def cut_durably(fd: int, length: int) -> None:
    """As `cut`, durable."""
    cut(fd, length)
    os.fsync(fd)


def remove_file(path: Path) -> None:
    """Removes a file or a symlink; none there is well."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_durably(paths: Iterable[Path], directory: Path) -> None:
    """Removes files of one directory, durable."""
    for path in paths:
        remove_file(path)
    fsync_directory(directory)
