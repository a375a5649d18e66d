from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filesystems import filesystem, mounts, room

from .easel import Easel

__all__ = ["easel", "filesystem", "mounts", "room"]


@pytest.fixture
def easel(room: Path) -> Iterator[Easel]:
    """A tree with a source and versions, on the filesystem that temporary files are on."""
    yield Easel(room)
