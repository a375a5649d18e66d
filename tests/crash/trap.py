"""Meets a system call of a run: the nth of its kind is refused with an error, or is the last of its process.

Linux lets a process ask another before each call of one kind (seccomp(2), user notification). The child traps itself,
and whoever started it answers. Unlike under a tracer every other call is as fast as ever.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from .strace import Call, is_of_processes, is_same

_NO_NEW_PRIVILEGES = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_FILTER, _NEW_LISTENER = 1, 8
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_GO_ON = 1
_HERE = -100 & 0xFFFFFFFF
"""AT_FDCWD, as an int."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Trap:
    """For this call of a plain run: SIGKILL on entering it, or `error` instead of carrying it out."""

    call: Call
    error: str | None = None
    met: list[str] | None = field(default=None, init=False)
    """What the call was about, if it came to that."""

    def must_have_met(self) -> None:
        """Up to this call the run must have been as the plain one, or the sweep would be of something else."""
        wanted = [told for _, told in self.call.subjects]
        assert self.met is not None and is_same(wanted, self.met), f"not {self.call.text}, but {self.met or 'no call'}"

    # ------------------------------------------------------------ in the child

    def install(self, ends: socket.socket) -> None:
        """Asks from here on; the descriptor by which to answer goes through the socket."""
        code = struct.pack(
            "HBBIHBBIHBBIHBBI",
            *(_LOAD, 0, 0, 0),
            *(_EQUALS, 0, 1, self.call.number),
            *(_RETURN, 0, 0, _ASK),
            *(_RETURN, 0, 0, _ALLOW),
        )
        filters = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(filters)))
        _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        fd = _libc.syscall(_SECCOMP[platform.machine()], _SET_FILTER, _NEW_LISTENER, program)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        ends.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])

    # ------------------------------------------------------------ in its parent

    def answer(self, ends: socket.socket, pid: int) -> None:
        """Answers until the child has ended; and then, in a process of its own, what it has started and left."""
        fd = socket.recv_fds(ends, 1, 1)[1][0]
        ended = os.pidfd_open(pid)
        nth = 0
        try:
            for asked, arguments in _questions(fd, pid, ended):
                met = [_told(told[0], arguments[position], pid) for position, told in self.call.subjects]
                nth += not is_of_processes(met)
                if nth != self.call.nth or self.met is not None:
                    _answer(fd, asked, 0, _GO_ON)
                    continue
                self.met = met
                if self.error is None:
                    os.kill(pid, signal.SIGKILL)
                else:
                    _answer(fd, asked, -getattr(errno, self.error), 0)
            _answer_others(fd)
        finally:
            os.close(fd)
            os.close(ended)


def _answer_others(fd: int) -> None:
    """Whoever inherited the trap would be refused its calls, if nobody answered."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if any(event & select.POLLHUP for _, event in poll.poll(0)) or os.fork() != 0:
        return
    try:
        for _ in _questions(fd):
            pass
    finally:
        os._exit(0)


def _questions(fd: int, pid: int = 0, ended: int | None = None) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The calls of this process, until the descriptor `ended` says that it has, or nobody is left who could ask. What
    others ask, whom it started, is answered here."""
    poll = select.poll()
    for watched in (fd, *([] if ended is None else [ended])):
        poll.register(watched, select.POLLIN)
    while dict(poll.poll()).get(fd, 0) & select.POLLIN:
        question = bytearray(80)
        try:
            fcntl.ioctl(fd, _RECEIVE, question)
        except FileNotFoundError:
            continue  # who asked has ended
        asked, who, _, _, _, _, *arguments = struct.unpack("QIIiIQ6Q", question)
        if who == pid:
            yield asked, tuple(arguments)
        else:
            _answer(fd, asked, 0, _GO_ON)


def _answer(fd: int, asked: int, error: int, flags: int) -> None:
    try:
        fcntl.ioctl(fd, _SEND, struct.pack("QqiI", asked, 0, error, flags))
    except FileNotFoundError:
        pass


def _told(kind: str, argument: int, pid: int) -> str:
    """What an argument stands for, as `Call.subjects` has it: a path, or the file of a descriptor."""
    try:
        if kind == '"':
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
                memory.seek(argument)
                return kind + os.fsdecode(memory.read(4096).partition(b"\0")[0])
        if argument & 0xFFFFFFFF == _HERE:
            return f"A<{os.readlink(f'/proc/{pid}/cwd')}"
        return f"<{os.readlink(f'/proc/{pid}/fd/{argument}').removesuffix(' (deleted)')}"
    except OSError:
        return kind  # another form of the call, which has nothing like it there
