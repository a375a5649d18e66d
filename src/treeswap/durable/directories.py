"""Directories, made with exactly the mode that is asked for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .syncing import fsync_directory


def make_directory(path: Path, mode: int) -> None:
    """A directory with exactly this mode, whatever the umask. One that is there stays as it is."""
    try:
        path.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        return
    os.chmod(path, mode)


def make_directories(path: Path, mode: int) -> list[Path]:
    """A directory and those above it that are missing, each with exactly this mode; gives those made, outermost first.
    Not durable by itself."""
    missing = [here for here in (path, *path.parents) if not os.path.lexists(here)][::-1]
    for directory in missing:
        make_directory(directory, mode)
    return missing


def make_directories_durably(path: Path, mode: int) -> None:
    """As `make_directories`, durable."""
    for directory in make_directories(path, mode):
        fsync_directory(directory.parent)


def set_mode(path: Path, mode: int) -> None:
    """The directory at `path` has this mode. Not durable by itself."""
    if stat.S_IMODE(os.lstat(path).st_mode) != mode:
        os.chmod(path, mode)


def is_plain_directory(path: Path) -> bool:
    """Whether `path` is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
