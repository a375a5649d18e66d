"""A block device whose every write and flush is recorded, in order, and the file that they are recorded in.

`python recorder.py MOUNTPOINT LOG NAME=IMAGE …` is a FUSE server: under MOUNTPOINT stand a file for each NAME, holding
at first what IMAGE holds (which is never written to), and the file `marks`. Put a loop device on such a file, and each
write of the filesystem on it arrives here, each of its flushes as an fsync, each discard as a punched hole. What is
written to `marks` is put into the same log, so that one order of events spans several devices and what the tests say.

The server answers one request after the other: a write that was answered before a flush came in was complete by then.
A write with FUA needs nothing: the loop device has none, and the kernel makes it a write and a flush.

It ends with its mount, or with the process that started it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

# ---------------------------------------------------------------- the log

Kind = Literal["write", "zero", "flush", "mark"]
_KINDS: tuple[Kind, ...] = ("write", "zero", "flush", "mark")
_EVENT = struct.Struct("<BBQQ")
_MARKS = 0xFF


@dataclass(frozen=True, slots=True)
class Event:
    """`device` counts the NAMEs from 0; `length` is in bytes; `data` is empty but for a write and a mark."""

    kind: Kind
    device: int
    offset: int = 0
    length: int = 0
    data: bytes = b""


def put_event(log: BinaryIO, event: Event) -> None:
    log.write(_EVENT.pack(_KINDS.index(event.kind), event.device, event.offset, event.length) + event.data)


def events(log: Path) -> Iterator[Event]:
    """What was recorded, in order."""
    data = log.read_bytes()
    at = 0
    while at < len(data):
        number, device, offset, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        kind = _KINDS[number]
        content = data[at : at + length] if kind in ("write", "mark") else b""
        at += len(content)
        yield Event(kind, device, offset, length, content)


# ---------------------------------------------------------------- the server: linux/fuse.h, as far as one needs it

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_LARGEST_WRITE = 1 << 20
_ROOT = 1
_DIRECT_IO = 1
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_PUNCH_HOLE, _ZERO_RANGE = 0x02, 0x10
_S_IFDIR, _S_IFREG = 0o040000, 0o100000
_NO_ANSWER = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET


class Refused(Exception):
    """What the kernel asked for is answered with this errno."""


class Recorder:
    """The server's state: the content of the disks now, and the log. Node 2 is the first disk, the last one `marks`."""

    def __init__(self, fuse: int, log: BinaryIO, disks: dict[str, Path]) -> None:
        self._fuse, self._log = fuse, log
        self._names = [*disks, "marks"]
        self._disks = [_private_copy(image) for image in disks.values()]

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._fuse, _LARGEST_WRITE + 65536)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                raise
            length, opcode, unique, node, *_ = _IN.unpack_from(request)
            if opcode in _NO_ANSWER:
                continue
            try:
                number, answer = 0, self._answer(opcode, node, memoryview(request)[_IN.size : length])
            except Refused as refusal:
                number, answer = -int(refusal.args[0]), b""
            with suppress(FileNotFoundError):  # nobody waits for the answer any more
                os.write(self._fuse, _OUT.pack(_OUT.size + len(answer), number, unique) + answer)

    def _answer(self, opcode: int, node: int, body: memoryview) -> bytes:
        match opcode:
            case 26:  # INIT
                flags = _BIG_WRITES | _MAX_PAGES
                return struct.pack("<IIIIHHIIHH32x", 7, 31, 0, flags, 64, 48, _LARGEST_WRITE, 1, 256, 0)
            case 1:  # LOOKUP
                return self._lookup(bytes(body).rstrip(b"\0").decode())
            case 3 | 4:  # GETATTR, SETATTR
                return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
            case 14:  # OPEN
                return struct.pack("<QII", 0, _DIRECT_IO, 0)
            case 15:  # READ
                _, offset, size = struct.unpack_from("<QQI", body)
                return self._disk(node)[offset : offset + size]
            case 16:  # WRITE
                _, offset, size = struct.unpack_from("<QQI", body)
                self._write(node, offset, bytes(body[40 : 40 + size]))
                return struct.pack("<II", size, 0)
            case 20:  # FSYNC
                put_event(self._log, Event("flush", node - 2))
                return b""
            case 43:  # FALLOCATE
                _, offset, length, mode = struct.unpack_from("<QQQI", body)
                self._zero(node, offset, length, mode)
                return b""
            case 17:  # STATFS
                return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 100, 100, 4096, 255, 4096, 0)
            case 18 | 25 | 29 | 38:  # RELEASE, FLUSH, RELEASEDIR, DESTROY
                return b""
        raise Refused(errno.ENOSYS)

    def _lookup(self, name: str) -> bytes:
        if name not in self._names:
            raise Refused(errno.ENOENT)
        node = self._names.index(name) + 2
        return struct.pack("<QQQQII", node, 0, 3600, 3600, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        is_disk = 2 <= node < 2 + len(self._disks)
        size = len(self._disks[node - 2]) if is_disk else 0
        mode = _S_IFDIR | 0o700 if node == _ROOT else _S_IFREG | 0o600
        return _ATTR.pack(node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _disk(self, node: int) -> mmap.mmap:
        return self._disks[node - 2]

    def _write(self, node: int, offset: int, data: bytes) -> None:
        if node == 2 + len(self._disks):
            put_event(self._log, Event("mark", _MARKS, 0, len(data), data))
            return
        self._disk(node)[offset : offset + len(data)] = data
        put_event(self._log, Event("write", node - 2, offset, len(data), data))

    def _zero(self, node: int, offset: int, length: int, mode: int) -> None:
        if not mode & (_PUNCH_HOLE | _ZERO_RANGE):
            raise Refused(errno.EOPNOTSUPP)
        self._disk(node)[offset : offset + length] = bytes(length)
        put_event(self._log, Event("zero", node - 2, offset, length))


def _private_copy(image: Path) -> mmap.mmap:
    with image.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)


def main(words: list[str]) -> None:
    mountpoint, log, *disks = words
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: without its parent nobody would unmount it
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"recorder", os.fsencode(mountpoint), b"fuse", 0x6, options) != 0:
        raise OSError(ctypes.get_errno(), "cannot mount", mountpoint)
    images = dict(word.split("=", 1) for word in disks)
    with Path(log).open("wb", buffering=0) as opened:
        recorder = Recorder(fuse, opened, {name: Path(image) for name, image in images.items()})
        print("ready", flush=True)
        recorder.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
