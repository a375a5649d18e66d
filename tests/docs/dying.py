"""python dying.py before|after POINT N WORD…: the program with these words, killed at its N-th call of POINT.

POINT is `package.module:function` or `package.module:Class.method`. The kill is SIGKILL, so that nothing in the program
can react to it.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any


def main(when: str, point: str, number: str, *words: str) -> int:
    module, _, path = point.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for inner in classes:
        owner = getattr(owner, inner)
    real = getattr(owner, name)
    calls = 0

    def deadly(*args: Any, **kw: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(number) and when == "before":
            _die()
        result = real(*args, **kw)
        if calls == int(number):
            _die()
        return result

    setattr(owner, name, deadly)

    from treeswap.cli.program import run

    return run(words)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
