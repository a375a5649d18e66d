"""Who listens on a unix socket, and how many wait there to be accepted: the kernel is asked, nobody else.

The queue is read by sock_diag(7), as `ss -lx` does. The kernel answers for the caller's network namespace only.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_SOCK_DIAG = 4
"""The netlink family NETLINK_SOCK_DIAG."""
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3
_REQUEST_A_DUMP = 0x1 | 0x300
_LISTENING = 1 << 10
_SHOW_FILE, _SHOW_QUEUE = 0x02, 0x10
_FILE, _QUEUE = 1, 4
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_NO_COOKIE = 0xFFFFFFFF


def queued(path: Path) -> int | None:
    """How many connections wait at `path` to be accepted: 0 where nobody listens, None where this kernel does not tell.

    The kernel names the socket's file by its inode; that of another filesystem may have the same, and counts too."""
    try:
        wanted = os.stat(path).st_ino & 0xFFFFFFFF
    except OSError:
        return 0
    try:
        return sum(length for inode, length in _listeners() if inode == wanted)
    except OSError:
        return None


def is_listened_at(path: Path) -> bool:
    """Whether somebody would accept a connection, in time. What is no socket nobody listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.setblocking(False)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:  # its queue is full
            return True
    return True


def peer(connection: socket.socket) -> int:
    """The process that called listen(2) on the other side of a unix socket; 0 where it is in none of this process's
    namespaces."""
    size = struct.calcsize("3i")
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)


def _listeners() -> Iterator[tuple[int, int]]:
    """The file's inode and the queue's length of each unix socket that is listened on. `OSError`."""
    body = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, _LISTENING, 0, _SHOW_FILE | _SHOW_QUEUE, _NO_COOKIE, _NO_COOKIE
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as kernel:
        kernel.bind((0, 0))
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST_A_DUMP, 1, 0) + body)
        while True:
            for kind, payload in _messages(kernel.recv(1 << 20)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (number,) = struct.unpack_from("=i", payload)
                    raise OSError(-number, os.strerror(-number))
                attributes = dict(_attributes(payload[_MESSAGE.size :]))
                if _FILE in attributes and _QUEUE in attributes:
                    yield _first(attributes[_FILE]), _first(attributes[_QUEUE])


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += _aligned(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def _first(numbers: bytes) -> int:
    (number,) = struct.unpack_from("=I", numbers)
    return int(number)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
