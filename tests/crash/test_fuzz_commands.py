"""Whatever is damaged of a site's files, a command gives a clear error or the right answer.

Never a traceback, a hang, a wrong release, or a path outside SITE; as root, as an ordinary user, and as one who may
only read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import treeswap

from .effort import seed
from .fuzz_commands import ROLES

_TESTS = Path(__file__).resolve().parent.parent
_PATH = f"{_TESTS}:{Path(treeswap.__file__).resolve().parent.parent}"


@pytest.mark.parametrize("role", ROLES if os.geteuid() == 0 else ("nobody",))
def test_commands_on_a_damaged_site(role: str, record_property: Callable[[str, object], None]) -> None:
    command = [sys.executable, "-m", "crash.fuzz_commands", "--role", role]
    environment = {**os.environ, "PYTHONPATH": _PATH}
    done = subprocess.run(
        [*command, "--json"], cwd=_TESTS, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:
        pytest.fail(f"broke off:\n{done.stdout}{done.stderr}", pytrace=False)
    figures = json.loads(done.stdout)
    if figures["failed"]:
        again = (
            f"cd tests && SEED={seed()} PYTHONPATH=.:../src {sys.executable} -m crash.fuzz_commands --role {role} CASE"
        )
        told = "\n\n".join(f"{case}: {why}" for case, why in figures["failed"].items())
        pytest.fail(f"again: {again}\n\n{told}", pytrace=False)
    record_property(
        "figures",
        f"fuzz {role}: {figures['cases']} cases, {figures['commands']} commands, {figures['seconds']} s",
    )
