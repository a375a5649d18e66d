"""Copying one file, and knowing what was copied."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

from treeswap import durable
from treeswap.errors import Failed
from treeswap.manifest import Entry
from treeswap.scan import Content
from treeswap.scan.reading import Attributes, Taken, attributes_hash, is_sparse, read_still, take, words

_CLONE_FROM = 64 * 1024
"""Bytes below which copying is as quick as asking the filesystem to share them."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def new_file(name: bytes, directory_fd: int, mode: int = 0o600) -> int:
    """A descriptor of a new, empty file. Nobody else may open it yet, by its mode or because none may enter its
    directory."""
    return os.open(name, _NEW, mode & 0o777, dir_fd=directory_fd)


def copy_file(source_fd: int, target_fd: int) -> tuple[int, Content]:
    """Puts the content of one open file into another, empty one; when it was read, and what it was.

    Holes stay holes. The content is shared with the source's where the filesystem can do that, and read only once
    otherwise. `NotReadable` if the source cannot be read or does not hold still, `OSError` if the target takes no more.
    """
    read_at = 0

    def taking(status: os.stat_result) -> Taken:
        nonlocal read_at
        if read_at:
            os.ftruncate(target_fd, 0)  # the file changed while it was read
        read_at = time.time_ns()
        return _copy(source_fd, target_fd, status)

    content = read_still(source_fd, taking)
    return read_at, content


def _copy(source_fd: int, target_fd: int, status: os.stat_result) -> Taken:
    if status.st_size >= _CLONE_FROM and durable.clone(source_fd, target_fd):
        return take(target_fd, os.fstat(target_fd))  # the clone holds still, whatever happens to the source
    taken = take(source_fd, status, lambda piece, offset: _write_at(target_fd, piece, offset))
    if is_sparse(status):
        os.ftruncate(target_fd, status.st_size)  # a hole at the end
    return taken


def _write_at(fd: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written


def file_entry(content: Content, origin: str, *, as_root: bool) -> Entry:
    """The entry of a file with this content."""
    status = content.status
    uid, gid = (status.st_uid, status.st_gid) if as_root else (None, None)
    return Entry(
        "f",
        stat.S_IMODE(status.st_mode),
        uid,
        gid,
        status.st_size,
        status.st_mtime_ns,
        content.digest,
        attributes_hash(content.attributes),
        origin,
    )


def dress(
    fd: int, entry: Entry, attributes: Attributes, *, atime_ns: int, mtime_ns: int, what: Callable[[], str]
) -> Entry:
    """Gives an open file or directory its owner, attributes, mode and times, in the order in which none undoes another.

    What it has already is not given to it again: each takes as long as making a small file does. The entry as it came
    out: some filesystems keep whole seconds only. `Failed` names it as `what` says.
    """
    for name, value in attributes:
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            raise Failed(
                f"{what()} has the attribute {name}, which the filesystem of the new version does not take",
                cause=words(error),
            ) from error
    os.utime(fd, ns=(atime_ns, mtime_ns))
    status = os.fstat(fd)
    if entry.uid is not None and entry.gid is not None and (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        os.fchown(fd, entry.uid, entry.gid)
        status = os.fstat(fd)
    if stat.S_IMODE(status.st_mode) != entry.mode:
        os.fchmod(fd, entry.mode)
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode != entry.mode:
            raise Failed(f"{what()} has mode {entry.mode:04o}, and its copy cannot be given more than {mode:04o}")
    return entry if status.st_mtime_ns == entry.mtime_ns else entry._replace(mtime_ns=status.st_mtime_ns)
