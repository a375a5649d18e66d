"""The program between a deploy and a command of the site: it ends the command when the deploy has ended, however that
came about, and exits with the command's exit code.

Its argument is a JSON object, its standard input a pipe that ends with the deploy. It imports the standard library
only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

TIMED_OUT = 124
CANNOT_RUN = 126
PATIENCE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    try:
        if spec["confinement"]:
            from .confining import confine

            confine(spec["confinement"])
        if "arguments" not in spec:
            sys.exit(0)
        command = subprocess.Popen(
            spec["arguments"], cwd=spec["directory"], stdin=subprocess.DEVNULL, process_group=0, close_fds=False
        )
    except OSError as error:
        print(f"treeswap: the command could not be run: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(CANNOT_RUN)
    code = _outcome(command, spec["timeout"])
    if not spec["lingers"]:
        _signal(command, signal.SIGKILL)
    sys.exit(code)


def _outcome(command: subprocess.Popen[bytes], timeout: float | None) -> int:
    """Waits for whatever comes first: the end of the command, of its time, or of the deploy."""
    deadline = None if timeout is None else time.monotonic() + timeout
    with open(os.pidfd_open(command.pid)) as end:  # noqa: PTH123
        waiting = select.poll()
        waiting.register(end, select.POLLIN)
        waiting.register(sys.stdin, select.POLLIN)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = dict(waiting.poll(None if left is None else left * 1000))
            if end.fileno() in ready:
                code = command.wait()
                return code if code >= 0 else 128 - code
            if not ready:
                print(f"treeswap: stopped after {timeout:g} s", file=sys.stderr, flush=True)  # noqa: T201
            if not ready or sys.stdin.fileno() in ready:
                _stop(command)
                return TIMED_OUT


def _stop(command: subprocess.Popen[bytes]) -> None:
    _signal(command, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        command.wait(PATIENCE)
    _signal(command, signal.SIGKILL)
    command.wait()


def _signal(command: subprocess.Popen[bytes], number: int) -> None:
    """To the command and all that it started in its process group."""
    with suppress(ProcessLookupError):
        os.killpg(command.pid, number)
