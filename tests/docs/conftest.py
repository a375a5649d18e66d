"""Homes for console sessions, and the program for users who could not reach this checkout."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .pages import ROOT

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """A user without rights, where the program can be run by it, and its empty home. `uid` is None where the tests
    themselves run without rights."""

    uid: int | None
    bin: Path
    home: Path


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home directory that anybody may look into: pytest's own temporary directories are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="treeswap-docs-"))
    directory.chmod(0o755)
    yield directory.resolve()
    shutil.rmtree(directory)


@pytest.fixture
def unprivileged(home: Path) -> Unprivileged:
    if os.geteuid() != 0:
        return Unprivileged(None, BIN, home)
    uid = pwd.getpwnam("nobody").pw_uid
    library = home / "program"
    library.mkdir()
    for name in ("click", "pathspec"):
        found = importlib.util.find_spec(name)
        assert found is not None and found.origin is not None
        shutil.copytree(Path(found.origin).parent, library / name)
    shutil.copytree(ROOT / "src/treeswap", library / "treeswap")
    run = library / "run.py"
    run.write_text("import sys\nfrom treeswap.cli import main\nsys.exit(main())\n")
    program = home / "bin" / "treeswap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{os.path.realpath(sys.executable)}' '{run}' \"$@\"\n")
    program.chmod(0o755)
    own = home / "ana"
    own.mkdir(0o755)
    os.chown(own, uid, uid)
    return Unprivileged(uid, program.parent, own)
