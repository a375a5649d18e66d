"""The only room that touches the disk for good: every fsync, syncfs, rename, exchange, link, symlink and clone.

What a function here promises is true on the disk, not only in the page cache, when it returns, if its docstring says
"durable". Everything else becomes durable by a `Barrier`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_PR_SET_PDEATHSIG = 1
_FICLONE = 0x40049409  # linux/fs.h
_TEMPORARY_SUFFIX = ".tswap"


def _libc(call: str, *arguments: int | bytes, path: str | None = None) -> None:
    """A call of the C library that Python has no name for; `OSError` where it fails."""
    import ctypes  # not at the top: who only looks never needs it, and it is slow to import

    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *([path] if path else []))


def die_with_parent(parent: int) -> None:
    """Has this process killed when its parent, which was `parent`, ends; elsewhere than on Linux it goes on."""
    if sys.platform == "linux":
        _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


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


# ---------------------------------------------------------------- making things durable


def fsync_directory(path: Path) -> None:
    """Makes the entries of a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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


class Barrier:
    """Makes all that was written to some filesystems durable, or says that it is not.

    Open it before the first byte is staged: the kernel reports a failed writeback only to descriptors that were open
    when it happened; a later one reports success over zeros.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        self._fds: dict[int, int] = {}
        for directory in directories:
            self.add(directory)

    def add(self, directory: Path) -> None:
        device = os.stat(directory).st_dev
        if device not in self._fds:
            self._fds[device] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Durable: everything written before, on each of the filesystems. An `OSError` is final: do not try again,
        discard what was written."""
        for fd in self._fds.values():
            if sys.platform == "linux":
                _libc("syncfs", fd)
            else:
                os.sync()

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __enter__(self) -> Barrier:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


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


def exchange(one: Path, other: Path) -> None:
    """Both paths change places in one step (renameat2, RENAME_EXCHANGE). Not durable by itself.

    `OSError`: EXDEV across mounts or for a lower directory of an overlay, EBUSY for a mount point, EINVAL or ENOSYS
    where the filesystem cannot.
    """
    _renameat2(one, other, _RENAME_EXCHANGE)


def rename_to_free(source: Path, target: Path) -> None:
    """`source` gets the name `target`, which must be free: `FileExistsError`. Not durable by itself."""
    try:
        _renameat2(source, target, _RENAME_NOREPLACE)
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


def _renameat2(one: Path, other: Path, flags: int) -> None:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "no renameat2 on this system", str(one))
    _libc("renameat2", _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), flags, path=str(one))


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


def link(name: bytes, source_fd: int, new_name: bytes, target_fd: int) -> None:
    """One more hard link of a file, between two open directories. `OSError`: EMLINK, EPERM, EXDEV (then copy)."""
    os.link(name, new_name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)


def symlink(text: bytes, name: bytes, directory_fd: int) -> None:
    os.symlink(text, name, dir_fd=directory_fd)


def clone(source_fd: int, target_fd: int) -> bool:
    """Shares the whole content of one open file with another, where the filesystem can (xfs, btrfs)."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
        return True
    except OSError:
        return False


# ---------------------------------------------------------------- removing


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


# ---------------------------------------------------------------- looking


def leads_through(path: Path, text: str) -> bool:
    """Whether `path` is a symlink that reads `text`."""
    try:
        return os.readlink(path) == text
    except OSError:
        return False


def is_plain_directory(path: Path) -> bool:
    """Whether `path` is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
