from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from filesystems import Mounts

from .world import Served


@pytest.fixture
def served(mounts: Mounts) -> Iterator[Served]:
    room = mounts.room()
    served = Served(room)
    try:
        yield served
    finally:
        served.clear()
    shutil.rmtree(room)
