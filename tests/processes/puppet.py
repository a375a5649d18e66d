"""One call of a process manager, by a process of its own, as in life: `puppet.py KIND SITE_NAME SITE PROGRAM...`, the
method and its arguments pickled on stdin, what came of it pickled on stdout."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

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


def main() -> None:
    kind, site_name, site, *program = sys.argv[1:]
    method, arguments = pickle.load(sys.stdin.buffer)
    others: dict[str, Callable[..., object]] = {"alive": alive, "detect": detect, "kill": os.kill}
    try:
        if method in others:
            result = others[method](*arguments)
        else:
            result = getattr(manager(kind, site_name, Path(site), program), method)(*arguments)
        told: tuple[object, ...] = ("done", result)
    except Failed as error:
        told = ("failed", error.message, error.hint, error.cause)
    sys.stdout.buffer.write(pickle.dumps(told))


main()
