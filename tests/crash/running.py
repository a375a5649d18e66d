"""What runs for a site, as /proc tells, and nobody else is asked."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from .oracle import Broken

PATIENCE = 20.0
"""Seconds for which something may take to start or to end."""
_MARK = b"TREESWAP_UNIT="


def units(site: Path) -> Counter[str]:
    """How many programs there are of each unit of a site, by the names that they are started under."""
    found: Counter[str] = Counter()
    for pid in _pids():
        for line in _read(pid, "environ").split(b"\0"):
            if line.startswith(_MARK + os.fsencode(site) + b":"):
                found[os.fsdecode(line.rpartition(b":")[2])] += 1
    return found


def pids(site: Path) -> list[int]:
    """Everything that was started for a site: its path is among the words, or in the mark, of each."""
    text = os.fsencode(site)
    return [pid for pid in _pids() if text in _read(pid, "cmdline") or _MARK + text in _read(pid, "environ")]


def kill(site: Path) -> None:
    """SIGKILL for everything of a site, whose path only this sweep has; gone on return."""

    def gone() -> bool:
        for pid in pids(site):
            os.kill(pid, signal.SIGKILL)
        _reap()
        return not pids(site)

    until(gone, "everything that was started is gone")


def until(holds: Callable[[], bool], what: str) -> None:
    """`Broken` where it does not come to hold."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Broken(what, f"not within {PATIENCE:.0f} s")
        time.sleep(0.02)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has ended


def _reap() -> None:
    """In a namespace of its own the sweep is who orphans are left to."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
