"""Calls of a process manager by another process, of another user or on another machine: `puppet.py KIND SITE_NAME SITE
PROGRAM...`, methods with their arguments pickled on stdin, what came of each, by a manager made for it, on stdout."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from treeswap.errors import Failed
from treeswap.processes import detect, manager


def alive(pids: frozenset[int]) -> frozenset[int]:
    """Those of these that have not ended."""
    return frozenset(pid for pid in pids if _state(pid) not in ("", "Z", "X"))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


OTHERS: dict[str, Callable[..., object]] = {"alive": alive, "detect": detect}


def told(method: str, arguments: tuple[Any, ...]) -> tuple[object, ...]:
    kind, site_name, site, *program = sys.argv[1:]
    try:
        if method in OTHERS:
            return "done", OTHERS[method](*arguments)
        return "done", getattr(manager(kind, site_name, Path(site), program), method)(*arguments)
    except Failed as error:
        return "failed", error.message, error.hint, error.cause


while True:
    try:
        asked = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    sys.stdout.buffer.write(pickle.dumps(told(*asked)))
    sys.stdout.buffer.flush()
