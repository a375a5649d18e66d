"""Ways to run the program: as it is, with one of its syncs left out, and with the filesystem committing all the time.

A filesystem writes its metadata out when it likes, and more often when other programs sync; the order in which the
changes of a program reach the disk is only what its own syncs enforce. So each command is recorded twice: left alone,
where nothing but its own syncs makes anything durable, and hurried, where before its changes another file of the same
filesystem is synced, and everything that may be on the disk by then is.

All of this is done to a process of a test, from outside of the product.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import treeswap
from treeswap import durable

CHANGES = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.chown", "os.utime"),
    *("os.truncate", "os.setxattr", "ctypes.dlsym"),
}
"""What Python says before it changes names or attributes; the last one comes before a call of the C library."""
_PACKAGE = Path(treeswap.__file__).parent
_DURABLE = {*durable.__all__, "sync"}
"""What other rooms call of `durable`, and of its `Barrier`."""
_BTRFS_SUPER_MAGIC = 0x9123683E
_BTRFS_IOC_START_SYNC, _BTRFS_IOC_WAIT_SYNC = 0x80089418, 0x40089416

_fsync = os.fsync


OMITTED = "omitted"
"""The mark that is made where a sync is left out."""
KINDS = ("file", "directory", "filesystem")


@dataclass(frozen=True, slots=True)
class Way:
    """How to run a command. `hurry`: at every how-manieth change the filesystem commits, 0 for never. `without`: the
    sync to leave out, by the place in the program that asks for it, or all of one of the KINDS."""

    hurry: int = 0
    without: str | None = None

    def __str__(self) -> str:
        left_out = f", without {self.without}" if self.without else ""
        return f"{f'hurried at every change ({self.hurry})' if self.hurry else 'left alone'}{left_out}"

    def begin(self, mounts: Sequence[Path], marks: Path) -> None:
        """Called in the process that becomes the program."""
        hurry = _Hurry(mounts, self.hurry) if self.hurry else None

        def sync(syncing: Syncing) -> int:
            if hurry is not None:
                hurry.change()
            if self.without in (syncing.place, syncing.kind):
                marks.write_text(OMITTED)
                return 0
            return syncing.carry_out()

        on_syncs(sync)
        if hurry is not None:
            sys.addaudithook(lambda event, _: hurry.change() if event in CHANGES else None)

    def commit(self, mounts: Sequence[Path]) -> None:
        """What another program's sync, or time, does to a filesystem."""
        if self.hurry:
            hurry = _Hurry(mounts, 1)
            hurry.change()
            hurry.close()


@dataclass(frozen=True, slots=True)
class Syncing:
    """A sync that is asked for: by which place in the program, of what kind, on which descriptor."""

    place: str
    kind: str
    fd: int
    carry_out: Callable[[], int]


def on_syncs(do: Callable[[Syncing], int]) -> None:
    """From here on this process does that instead of each fsync and syncfs."""

    def fsync(fd: int) -> None:
        kind = "directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file"
        do(Syncing(_place(sys._getframe(1)), kind, fd, lambda: _fsync(fd) or 0))

    function_of = ctypes.CDLL.__getattr__

    def function(library: ctypes.CDLL, name: str) -> Any:
        found = function_of(library, name)
        if name != "syncfs":
            return found
        return lambda fd: do(Syncing(_place(sys._getframe(1)), "filesystem", fd, lambda: found(fd)))

    os.fsync = fsync  # type: ignore[assignment]
    ctypes.CDLL.__getattr__ = function  # type: ignore[method-assign]


def _place(frame: FrameType | None) -> str:
    """The functions that lead to a sync: those of `durable`, and two more."""
    names: list[str] = []
    outside = 0
    while frame is not None and outside < 2:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            is_inside = path.parent == Path(durable.__file__).parent
            if frame.f_code.co_name in _DURABLE if is_inside else not _is_within(frame):
                room = path.parent.name if is_inside or path.stem == "__init__" else path.stem
                names.append(f"{room}.{frame.f_code.co_name}")
                outside += not is_inside
        frame = frame.f_back
    return " < ".join(names)


class _Hurry:
    """Makes filesystems commit what they have, without the data that they have not placed yet."""

    def __init__(self, mounts: Sequence[Path], every: int) -> None:
        self._fds = [os.open(mount / "elsewhere", os.O_RDWR | os.O_CLOEXEC) for mount in mounts]
        self._btrfs = [_is_btrfs(mount) for mount in mounts]
        self._every, self._changes = every, 0
        self._busy = False

    def change(self) -> None:
        """Called before each change; the hurry's own are none."""
        if self._busy:
            return
        self._busy = True
        try:
            self._changes += 1
            if self._changes % self._every == 0:
                for fd, is_btrfs in zip(self._fds, self._btrfs, strict=True):
                    os.pwrite(fd, b"x", os.fstat(fd).st_size)
                    (_commit if is_btrfs else _fsync)(fd)
        finally:
            self._busy = False

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


def _commit(fd: int) -> None:
    """What btrfs does by itself every half a minute; an fsync there writes that one file only."""
    transaction = bytearray(8)
    fcntl.ioctl(fd, _BTRFS_IOC_START_SYNC, transaction)
    fcntl.ioctl(fd, _BTRFS_IOC_WAIT_SYNC, transaction)


def _is_btrfs(mount: Path) -> bool:
    buffer = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).statfs(os.fsencode(mount), buffer)
    return int.from_bytes(buffer.raw[:8], "little") == _BTRFS_SUPER_MAGIC


def _is_within(frame: FrameType) -> bool:
    """Whether it is no more than the body of the function that called it: `_append` of `append`."""
    name = frame.f_code.co_name
    return frame.f_back is not None and name.startswith("_") and frame.f_back.f_code.co_name == name[1:]
