"""All that a program started, as /proc tells: its descendants, and whoever carries its mark in the environment, which
finds those whose parents have gone. A process that both lost its parents and wiped its environment is not found."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "TREESWAP_UNIT"
"""The variable that names the unit which a process belongs to."""
_PROC = Path("/proc")
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    """A process. Its pid may be another's one day; when it was started (in the kernel's ticks) cannot."""

    pid: int
    started: int


def find(roots: Collection[int], marks: Collection[str] = ()) -> frozenset[Member]:
    """These processes, those with one of these marks, and all their descendants; not those that have ended."""
    lines = {f"{MARK}={mark}".encode(errors="surrogateescape") for mark in marks}
    alive = dict(_alive())
    family = {pid for pid in alive if pid in roots or (lines and not lines.isdisjoint(_environment(pid)))}
    grown = -1
    while grown != len(family):
        grown = len(family)
        family |= {pid for pid, (parent, _) in alive.items() if parent in family}
    return frozenset(Member(pid, alive[pid][1]) for pid in family)


def kill(members: Collection[Member], marks: Collection[str], timeout: float) -> frozenset[Member]:
    """SIGKILL for these, and for what they have started meanwhile. Gives who is not gone after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while left := still(members) | find({member.pid for member in still(members)}, marks):
        if time.monotonic() > deadline:
            return left
        for member in left:
            _kill(member)
        time.sleep(_POLL)
        members = left
    return frozenset()


def still(members: Collection[Member]) -> frozenset[Member]:
    """Those of these that have not ended."""
    alive = dict(_alive(member.pid for member in members))
    return frozenset(m for m in members if m.pid in alive and alive[m.pid][1] == m.started)


def _kill(member: Member) -> None:
    """Through a descriptor, so that nobody is hit who has the same pid by now."""
    try:
        fd = os.pidfd_open(member.pid)
    except ProcessLookupError:
        return
    try:
        if still([member]):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def _alive(pids: Iterable[int] | None = None) -> Iterable[tuple[int, tuple[int, int]]]:
    """Each process with its parent and its start; proc(5), stat. What has ended and is waited for is none."""
    if pids is None:
        pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdigit())
    for pid in pids:
        try:
            # The name is in parentheses and may hold anything; after it come state, parent, …, and at 22 the start.
            fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            yield pid, (int(fields[1]), int(fields[19]))


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has gone, or is somebody else's
        return []
