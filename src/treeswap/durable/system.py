"""What the system can do and Python has no name for."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from pathlib import Path

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_PR_SET_PDEATHSIG = 1
_FICLONE = 0x40049409  # linux/fs.h


def syncfs(fd: int) -> None:
    """Durable: all that was written to the filesystem of this descriptor; elsewhere than on Linux, to any."""
    if sys.platform == "linux":
        _libc("syncfs", fd)
    else:
        os.sync()


def renameat2(one: Path, other: Path, flags: int) -> None:
    """rename(2) with flags. Not durable by itself."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "no renameat2 on this system", str(one))
    _libc("renameat2", _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), flags, path=str(one))


def clone(source_fd: int, target_fd: int) -> bool:
    """Shares the whole content of one open file with another, where the filesystem can (xfs, btrfs)."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
        return True
    except OSError:
        return False


def die_with_parent(parent: int) -> None:
    """Has this process killed when its parent, which was `parent`, ends; elsewhere than on Linux it goes on."""
    if sys.platform == "linux":
        _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _libc(call: str, *arguments: int | bytes, path: str | None = None) -> None:
    """A call of the C library; `OSError` where it fails."""
    import ctypes  # not at the top: who only looks never needs it, and it is slow to import

    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *([path] if path else []))
