"""What tests mount goes again, even if they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import filesystems

HOLDING = """
import sys, time
import filesystems
with filesystems.mounted("tmpfs", 1) as root:
    print(root, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_what_a_killed_run_left_is_swept() -> None:
    tests = str(Path(filesystems.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": tests}
    with subprocess.Popen([sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        root = Path(run.stdout.readline().strip())
        filesystems.sweep()
        assert root.is_mount(), "its process lives"
        run.send_signal(signal.SIGKILL)
    assert root.is_mount()
    filesystems.sweep()
    assert not root.parent.exists()
