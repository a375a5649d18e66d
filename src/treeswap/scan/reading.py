"""Reading a file as a whole: its content at one moment, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

CHUNK = 256 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)  # seconds before a file that changed is read again
_NO_FILE = "it is no longer a file"
_CLOCK_TICK_NS = 10_000_000
"""Two changes within a tick of the kernel's clock may bear the same time."""

Attributes = tuple[tuple[str, bytes], ...]
Taken = tuple[bytes, int]
"""What reading a file's content came to: its SHA-256 in hex, and how many bytes it was."""


class NotReadable(Exception):
    """A file cannot be read, or never held still; says why."""


def words(error: OSError) -> str:
    """What the system says of an error, without the path."""
    return error.strerror or str(error)


class Content(NamedTuple):
    """A file at one moment. `status` is what fstat said just before it was read."""

    status: os.stat_result
    digest: bytes
    attributes: Attributes


def open_file(name: bytes, directory_fd: int) -> int:
    """A descriptor of what has this name, for `read_still`; never follows a symlink or waits for a fifo."""
    try:
        return os.open(name, _OPEN, dir_fd=directory_fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NotReadable(_NO_FILE) from error
        raise NotReadable(words(error)) from error


def read_file(name: bytes, directory_fd: int) -> Content:
    """The file with this name. Raises `NotReadable`."""
    fd = open_file(name, directory_fd)
    try:
        return read_still(fd, lambda status: take(fd, status))
    finally:
        os.close(fd)


def read_still(fd: int, taking: Callable[[os.stat_result], Taken]) -> Content:
    """Calls `taking` until the file was the same before and after it. Raises `NotReadable` if that never happens, and
    for what is no regular file.

    A change within a clock tick of the one before leaves the times as they were, so that a file changed that recently
    is not believed either.
    """
    for pause in (*_PAUSES, None):
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise NotReadable(_NO_FILE)
        settled = not 0 <= time.time_ns() - before.st_ctime_ns < _CLOCK_TICK_NS
        digest, count = taking(before)
        attributes = read_attributes(fd)
        if settled and count == before.st_size and _unchanged(before, os.fstat(fd)):
            return Content(before, digest, attributes)
        if pause is not None:
            time.sleep(pause)
    raise NotReadable("it does not hold still: it changed each time it was read")


def _unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return (
        before.st_ctime_ns == after.st_ctime_ns
        and before.st_mtime_ns == after.st_mtime_ns
        and before.st_size == after.st_size
    )


def take(fd: int, status: os.stat_result, sink: Callable[[bytes, int], None] | None = None) -> Taken:
    """Reads an open file to its end. `sink` is given each piece of data and its offset, but no holes."""
    if status.st_size < CHUNK and not is_sparse(status):
        # Most files are so small: a single read, which asks for one byte more, sees all of it and its end.
        piece = _pread(fd, status.st_size + 1, 0)
        if len(piece) == status.st_size:
            if sink and piece:
                sink(piece, 0)
            return hashlib.sha256(piece).hexdigest().encode(), len(piece)
    digest = hashlib.sha256()
    count = 0
    for piece, length in _pieces(fd, status):
        if piece:
            digest.update(piece)
            if sink:
                sink(piece, count)
        else:
            _hash_zeros(digest, length)
        count += length
    return digest.hexdigest().encode(), count


def is_sparse(status: os.stat_result) -> bool:
    """Whether a file may have holes: it has fewer blocks than its size needs."""
    return status.st_blocks * 512 < status.st_size


def _pieces(fd: int, status: os.stat_result) -> Iterator[tuple[bytes, int]]:
    """The data of a file in order, as pieces and their lengths; an empty piece with a length is a hole."""
    size = status.st_size
    offset = 0
    if is_sparse(status):
        for data, hole in _data_ranges(fd, size):
            if data > offset:
                yield b"", data - offset
            offset = data
            while offset < hole and (piece := _pread(fd, min(CHUNK, hole - offset), offset)):
                yield piece, len(piece)
                offset += len(piece)
        if offset < size:
            yield b"", size - offset
        return
    while offset <= size and (piece := _pread(fd, CHUNK, offset)):  # beyond that it is growing, and who knows how fast
        yield piece, len(piece)
        offset += len(piece)


def _data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data beyond here
                return
            raise NotReadable(words(error)) from error
        yield start, end


def _pread(fd: int, count: int, offset: int) -> bytes:
    try:
        return os.pread(fd, count, offset)
    except OSError as error:
        raise NotReadable(words(error)) from error


def _hash_zeros(digest: hashlib._Hash, length: int) -> None:
    zeros = bytes(min(length, CHUNK))
    while length:
        digest.update(zeros[:length])
        length -= min(length, CHUNK)


# ---------------------------------------------------------------- extended attributes


def read_attributes(fd: int) -> Attributes:
    """The user attributes and POSIX ACLs of an open file or directory, sorted by name. Raises `NotReadable`."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise NotReadable(words(error)) from error
    if not names:
        return ()
    kept = []
    for name in sorted(names):
        if name.startswith(("user.", "system.posix_acl_")):
            try:
                kept.append((name, os.getxattr(fd, name)))
            except OSError as error:
                if error.errno != errno.ENODATA:  # removed in between, which the status tells
                    raise NotReadable(words(error)) from error
    return tuple(kept)


def attributes_hash(attributes: Attributes) -> str:
    """A hash of all of them, or an empty text if there are none."""
    if not attributes:
        return ""
    text = b"".join(b"%b\0%d\0%b" % (os.fsencode(name), len(value), value) for name, value in attributes)
    return hashlib.sha256(text).hexdigest()
