"""Names: links, renames and exchanges, and whether they could be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from . import system
from .directories import is_plain_directory
from .files import remove_file, temporary_name
from .syncing import fsync_directory

# ---------------------------------------------------------------- links and renames


def put_link(text: str, path: Path) -> None:
    """A symlink at `path`, which must not exist: `FileExistsError`. Not durable by itself."""
    os.symlink(text, path)


def swing_link(text: str, path: Path) -> None:
    """The symlink at `path` reads `text` from one instant to the next, and durably so on return.

    One rename(2) over the old link; there is no moment at which the path is missing.
    """
    temporary = path.parent / temporary_name(path.name)
    os.symlink(text, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    fsync_directory(path.parent)


def leads_through(path: Path, text: str) -> bool:
    """Whether `path` is a symlink that reads `text`."""
    try:
        return os.readlink(path) == text
    except OSError:
        return False


def exchange(one: Path, other: Path) -> None:
    """Both paths change places in one step (renameat2, RENAME_EXCHANGE). Not durable by itself.

    `OSError`: EXDEV across mounts or for a lower directory of an overlay, EBUSY for a mount point, EINVAL or ENOSYS
    where the filesystem cannot.
    """
    system.renameat2(one, other, system.RENAME_EXCHANGE)


def rename_to_free(source: Path, target: Path) -> None:
    """`source` gets the name `target`, which must be free: `FileExistsError`. Not durable by itself."""
    try:
        system.renameat2(source, target, system.RENAME_NOREPLACE)
    except OSError as error:
        # NFS and some FUSE servers know no flags at all; then looking first has to do.
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)


def rename_over(source: Path, target: Path) -> None:
    """`source` takes the place of what `target` is, or its name. Not durable by itself."""
    os.rename(source, target)


# ---------------------------------------------------------------- whether they could be


def refusal_to_move(directory: Path, room: Path) -> OSError | None:
    """Why `directory` could not be moved into the directory `room`, found out without moving it.

    rename(2) onto a directory that is not empty always fails, and only after every other ground for refusal (another
    mount, a mount point, a lower directory of an overlay, permissions) was looked at: ENOTEMPTY is a yes.
    """
    target = room / temporary_name("probe")
    target.mkdir()
    try:
        (target / "x").mkdir()
        try:
            os.rename(directory, target)
        except OSError as refusal:
            return None if refusal.errno in (errno.ENOTEMPTY, errno.EEXIST) else refusal
        raise AssertionError(f"{directory} was renamed over a directory that is not empty")
    finally:
        for path in (target / "x", target):
            if is_plain_directory(path):
                path.rmdir()


def can_exchange(room: Path) -> bool:
    """Whether the filesystem of this directory exchanges a directory and a symlink, found out by doing it there."""
    directory, link = room / temporary_name("probe"), room / temporary_name("probe")
    directory.mkdir()
    try:
        os.symlink("x", link)
        try:
            exchange(directory, link)
        except OSError:
            return False
        return True
    finally:
        for path in (directory, link):
            if path.is_symlink():
                path.unlink()
            elif is_plain_directory(path):
                path.rmdir()


# ---------------------------------------------------------------- links in open directories


def link(name: bytes, source_fd: int, new_name: bytes, target_fd: int) -> None:
    """One more hard link of a file, between two open directories. `OSError`: EMLINK, EPERM, EXDEV (then copy)."""
    os.link(name, new_name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)


def symlink(text: bytes, name: bytes, directory_fd: int) -> None:
    os.symlink(text, name, dir_fd=directory_fd)
