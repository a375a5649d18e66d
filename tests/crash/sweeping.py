"""A sweep in a process of its own, for tests: it forks a lot, which a process with threads must not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import treeswap

_TESTS = Path(__file__).resolve().parent.parent
_PATH = f"{_TESTS}:{Path(treeswap.__file__).resolve().parent.parent}"


def swept(scene: str, *kinds: str, quick: int, full: int) -> str:
    """Sweeps one scene and gives the figures. A failure names each case, what does not hold, and how to repeat it."""
    if shutil.which("strace") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    command = [sys.executable, "-m", "crash.sweep", scene, "--json", "--kinds", ",".join(kinds), "--quick", str(quick)]
    command += ["--full", str(full)]
    done = subprocess.run(
        command, cwd=_TESTS, env={**os.environ, "PYTHONPATH": _PATH}, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:
        pytest.fail(f"the sweep of {scene} broke off:\n{done.stdout}{done.stderr}", pytrace=False)
    figures = json.loads(done.stdout)
    if figures["failed"]:
        told = "\n\n".join(f"{case}: {why}" for case, why in figures["failed"].items())
        again = f"cd tests && PYTHONPATH=.:../src {sys.executable} -m crash.sweep {scene} CASE"
        pytest.fail(f"{len(figures['failed'])} of {figures['runs']} runs; again: {again}\n\n{told}", pytrace=False)
    return (
        f"{scene} {' '.join(kinds)}: {figures['calls']} changing calls, {figures['runs']} of {figures['cases']} cases, "
        f"{figures['states']} states, {figures['seconds']} s"
    )
