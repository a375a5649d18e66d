"""The right to change a site: one writer, ended by the kernel with its process.

Promise: a lock that was taken is nobody else's until `release` or the death of the process; nothing is left to clear
away. What it does not do: it does not stop a person with `mv`.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from .envelope import text_of, time_of, time_text
from .errors import Failed, Locked
from .outcomes import LockHolder

_POLL_SECONDS = 0.1


class Lock:
    """An exclusive flock on a file that is never deleted; a context manager."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    @classmethod
    def take(
        cls,
        path: Path,
        *,
        doing: str,
        by: str,
        clock: Callable[[], datetime],
        wait: float = 0.0,
        mode: int = 0o600,
    ) -> Lock:
        """Takes the lock, within `wait` seconds; else `Locked` names who has it, since when and doing what."""
        deadline = time.monotonic() + wait
        while True:
            fd = _open(path, mode)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A first deploy that failed takes its whole SITE away again: then this file is no longer the lock.
                if _same_file(fd, path):
                    _sign(fd, doing, by, clock())
                    return cls(path, fd)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(fd)
                    raise _refusal(path)
                time.sleep(_POLL_SECONDS)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def holder(path: Path) -> LockHolder | None:
    """Who holds the lock now, asked of the kernel and so without touching it; None where nobody does."""
    try:
        table = Path("/proc/locks").read_text()
        file = _kernel_name(path)
    except (OSError, ValueError):
        return None
    for line in table.splitlines():
        words = line.split()
        if "FLOCK" in words and "->" not in words and words[-3] == file:
            return _described(path, int(words[-4]))
    return None


def _kernel_name(path: Path) -> str:
    """What /proc/locks calls a file: its filesystem's device and its inode. The device is the mount's, which stat(2)
    does not tell on btrfs; the inode alone is the name of other files on other filesystems."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        inode = os.fstat(fd).st_ino
        about = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())
    finally:
        os.close(fd)
    mount = about["mnt_id"].strip()
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        number, _, device, *_ = line.split()
        if number == mount:
            major, _, minor = device.partition(":")
            return f"{int(major):02x}:{int(minor):02x}:{inode}"
    raise ValueError(f"the mount of {path} is not listed")


def _open(path: Path, mode: int) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except PermissionError as error:
        raise Failed(
            f"{path} cannot be opened for writing, so the site cannot be changed from here",
            hint="run this as the user who owns the site",
            cause=error,
        )
    status = os.fstat(fd)
    if status.st_uid == os.geteuid() and status.st_mode & 0o777 != mode:
        os.fchmod(fd, mode)  # what the umask took away
    return fd


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(fd: int, doing: str, by: str, since: datetime) -> None:
    text = json.dumps({"pid": os.getpid(), "by": by, "since": time_text(since), "doing": doing})
    os.ftruncate(fd, 0)
    os.pwrite(fd, text.encode(), 0)


def _refusal(path: Path) -> Locked:
    who = holder(path)
    name = "a deploy" if path.name.startswith("deploy") else "a switch"
    return Locked(
        f"the site is being changed: {name} holds {path} ({who or 'its holder has just gone'})",
        hint="wait for it with --lock-wait SECONDS; a rollback does not wait for a deploy that is still staging",
    )


def _described(path: Path, pid: int) -> LockHolder:
    by = since = doing = None
    try:
        said = json.loads(path.read_text())
        by, since, doing, pid = text_of(said["by"]), time_of(said["since"]), text_of(said["doing"]), int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        # Not ours to read, or being written: the kernel knows at least the process.
        try:
            by = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
        except (OSError, KeyError):
            pass
    return LockHolder(path.name, pid if pid > 0 else None, by, since, doing)
