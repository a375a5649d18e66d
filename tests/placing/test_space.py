"""A full disk in the middle of a placing: the stage is gone, and the space is back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from filesystems import CannotMount, mounted, without
from treeswap import stage
from treeswap.errors import NoSpace

from . import oracle
from .easel import Easel


@pytest.fixture
def small() -> Iterator[Path]:
    """A filesystem of 8 MB and 200 inodes."""
    try:
        with mounted("ext4", 8, "-N", "200", "-b", "1024") as root:
            yield root
    except CannotMount as reason:
        without(reason)


def free(path: Path) -> tuple[int, int]:
    """Blocks and inodes."""
    status = os.statvfs(path)
    return status.f_bfree, status.f_ffree


def test_a_full_disk_leaves_nothing(small: Path, room: Path) -> None:
    easel = Easel(room, small)
    easel.write({f"dir{i}/file": os.urandom(1 << 20) for i in range(12)})
    before = free(small)
    work = easel.plan()
    assert work.bytes_needed > before[0] * os.statvfs(small).f_frsize
    with pytest.raises(NoSpace, match="no space left for the new version of apps") as refusal:
        easel.place("1", work)
    assert "No space left on device" in str(refusal.value.cause)
    assert list(easel.versions.iterdir()) == []
    assert free(small) == before


def test_too_few_inodes_leave_nothing(small: Path, room: Path) -> None:
    easel = Easel(room, small)
    easel.write({f"dir{i}/file": "x" for i in range(150)})
    before = free(small)
    work = easel.plan()
    assert work.inodes_needed == 301 > before[1]
    with pytest.raises(NoSpace):
        easel.place("1", work)
    assert list(easel.versions.iterdir()) == []
    assert free(small) == before


def test_no_room_for_a_copy_leaves_nothing(small: Path, room: Path) -> None:
    (room / "version").mkdir()
    (room / "version" / "file").write_bytes(os.urandom(12 << 20))
    before = free(small)
    for source in (room / "version", room / "version" / "file"):
        with pytest.raises(NoSpace):
            stage.copy(source, small / "copy")
        assert not (small / "copy").exists()
        assert free(small) == before


def test_what_is_needed_is_asked_for(easel: Easel) -> None:
    easel.write({"a": b"x" * 10_000, "dir/b": b"y", "empty": b""})
    work = easel.plan()
    assert work.inodes_needed == 5
    assert 10_001 <= work.bytes_needed <= 5 * 4096 + 12_288
    first = easel.place("1")
    taken = sum(oracle.kilobytes(first / name) for name in ("a", "dir/b", "empty")) * 1024
    assert taken <= work.bytes_needed
    (easel.source / "empty").write_bytes(b"z" * 100_000)
    again = easel.plan()
    assert again.inodes_needed == 3 and 100_000 <= again.bytes_needed <= 120_000
    os.truncate(easel.source / "a", 10**12)
    assert easel.plan().bytes_needed < 200_000, "holes need no space"
