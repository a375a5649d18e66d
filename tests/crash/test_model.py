"""Any sequence of commands, kills, and acts of others agrees with a small model of what a site is.

hypothesis makes the sequences; one that does not agree is made shorter, and printed as the commands it consists of.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import treeswap

from .effort import is_full, seed

_TESTS = Path(__file__).resolve().parent.parent
_PATH = f"{_TESTS}:{Path(treeswap.__file__).resolve().parent.parent}"


def test_any_sequence_agrees_with_the_model(record_property: Callable[[str, object], None]) -> None:
    """In a process of its own, as the sweeps: it forks."""
    size = ["--examples", "200", "--steps", "40"] if is_full() else ["--examples", "45", "--steps", "30"]
    words = ["-m", "crash.model_machine", *size]
    environment = {**os.environ, "PYTHONPATH": _PATH}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=_TESTS, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        again = f"cd tests && SEED={seed()} PYTHONPATH=.:../src {' '.join(command)}"
        pytest.fail(f"again: {again}\n\n{done.stdout}{done.stderr}", pytrace=False)
    record_property("figures", f"model: {done.stdout.strip()}")
