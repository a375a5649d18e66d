"""Running commands, and what they took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Commands = Sequence[Sequence[object]]
"""Argument lists; a word is what str() makes of it."""

_LAUNCHER = Path(__file__).parent / "launcher.py"
_LONGEST = 3600  # seconds that commands may take together


class CommandFailed(Exception):
    """A command did not end with 0: says which, and its last words."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds from the start of the first command to the end of the last; the most bytes of memory that one process
    among them and their children had at a time; when they started, by the wall clock; and what the last one printed."""

    seconds: float
    peak: int
    started: float
    told: str


def run(commands: Commands, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Runs them one after the other, with `env` beside the environment that there is. Raises CommandFailed."""
    words = [[str(word) for word in command] for command in commands]
    asked = {"commands": words, "cwd": str(cwd) if cwd else None, "env": {**os.environ, **(env or {})}}
    answer = json.loads(_launched(json.dumps(asked)))
    if answer["code"]:
        called = "; ".join(" ".join(command[:4]) for command in words)
        raise CommandFailed(f"{called} … ended with {answer['code']}: {answer['complaint'].strip()[-600:]}")
    return Run(answer["seconds"], answer["peak"], answer["started"], answer["told"])


def _launched(asked: str) -> str:
    """What the launcher answers. However this ends, neither it nor a command of its own goes on."""
    words = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as launcher:
        try:
            return launcher.communicate(asked, timeout=_LONGEST)[0]
        except BaseException:
            os.killpg(launcher.pid, signal.SIGKILL)
            raise
