"""Homes for console sessions, and a user without rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home directory that anybody may look into: pytest's own temporary directories are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="treeswap-docs-"))
    directory.chmod(0o755)
    yield directory.resolve()
    shutil.rmtree(directory)


@pytest.fixture
def without_rights() -> list[str]:
    """What to put before a command so that it has no rights but its user's: nothing, unless the tests are run by root.

    A user namespace, and not another user, since that one could not reach a checkout in root's home.
    """
    if os.geteuid() != 0:
        return []
    within = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("root cannot give up its rights here: there are no user namespaces")
    return within
