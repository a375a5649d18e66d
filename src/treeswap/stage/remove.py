"""Removing a tree of any depth, and nothing but it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from treeswap.errors import Failed
from treeswap.scan import Descent, open_root

_ACCESSIBLE = 0o700


def remove(path: Path) -> None:
    """Removes what is at `path`; nothing there is well. Symlinks are removed and never followed.

    `Failed` if something is mounted in it, which is left alone. `OSError` if it cannot be removed.
    """
    try:
        above = open_root(path.parent)
    except FileNotFoundError:
        return
    with Descent(above) as way:
        remove_below(way, os.fsencode(path.name), path)


def remove_below(way: Descent, name: bytes, path: Path) -> None:
    """Removes what has this name in the directory that `way` is at, as `remove` does; errors name it as `path`."""
    try:
        os.unlink(name, dir_fd=way.fd)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # POSIX has EPERM for a directory
        _Removal(path, way).of_directory(name)


class _Removal:
    def __init__(self, path: Path, way: Descent) -> None:
        self._path = path
        self._way = way
        self._mount = _mount_id(way.fd)

    def of_directory(self, name: bytes) -> None:
        self._enter(name, None)
        still = [(name, self._emptied_of_files())]
        while still:
            name, directories = still[-1]
            if directories:
                below, inode = directories.pop()
                self._enter(below, inode)
                still.append((below, self._emptied_of_files()))
            else:
                still.pop()
                self._way.leave()
                os.rmdir(name, dir_fd=self._way.fd)

    def _enter(self, name: bytes, inode: int | None) -> None:
        """Goes into a directory, which its entry said to be this inode, and makes sure that it can be emptied."""
        device = os.fstat(self._way.fd).st_dev
        try:
            fd = self._way.enter(name)
        except PermissionError:
            _make_accessible(name, self._way.fd)
            fd = self._way.enter(name)
        status = os.fstat(fd)
        # What is mounted here is another inode than the entry's, or on another device. Some filesystems say so of what
        # is not mounted, too, so that only the mount's number decides.
        if (status.st_dev, status.st_ino) != (device, inode) and _mount_id(fd) != self._mount:
            raise Failed(
                f"something is mounted at {os.fsdecode(name)} in {self._path}, which is not removed therefore",
                hint="unmount it first",
            )
        if status.st_mode & _ACCESSIBLE != _ACCESSIBLE and status.st_uid == os.geteuid():
            os.fchmod(fd, _ACCESSIBLE)

    def _emptied_of_files(self) -> list[tuple[bytes, int]]:
        """Removes all that is no directory from the one that this is in; the names and inodes of the directories."""
        directories = []
        with os.scandir(self._way.fd) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                directories.append((os.fsencode(entry.name), entry.inode()))
            else:
                os.unlink(entry.name, dir_fd=self._way.fd)
        return directories


def _make_accessible(name: bytes, directory_fd: int) -> None:
    """Gives a directory to its owner, without following a symlink that may have been put in its place."""
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        os.chmod(f"/proc/self/fd/{fd}", _ACCESSIBLE)
    finally:
        os.close(fd)


def _mount_id(fd: int) -> bytes:
    for line in Path(f"/proc/self/fdinfo/{fd}").read_bytes().splitlines():
        if line.startswith(b"mnt_id:"):
            return line
    raise OSError(errno.ENOTSUP, "the kernel does not say on which mount a directory is")
