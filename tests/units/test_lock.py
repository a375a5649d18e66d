"""Locks and leases: kept by the kernel, gone with the process."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import in_child, wait_for
from filesystems import Mounts
from treeswap import lease
from treeswap.errors import Failed, Locked
from treeswap.layout import Layout
from treeswap.lock import Lock, holder
from treeswap.release import ReleaseId

SINCE = datetime(2026, 11, 22, 18, 1, 2, tzinfo=UTC)
ID = ReleaseId("20261122180102")


def take(path: Path, wait: float = 0.0, mode: int = 0o600) -> Lock:
    return Lock.take(path, doing="deploy", by="ann@host", clock=lambda: SINCE, wait=wait, mode=mode)


def test_the_holder_is_told_by_the_kernel_and_by_what_it_signed(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    assert holder(path) is None
    with take(path):
        who = holder(path)
        assert who is not None
        assert (who.pid, who.by, who.since, who.doing) == (os.getpid(), "ann@host", SINCE, "deploy")
        with pytest.raises(Locked, match="ann@host"):
            take(path)
    assert holder(path) is None
    take(path).release()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_the_holder_is_told_on_every_filesystem(mounts: Mounts, kind: str) -> None:
    path = mounts.directory(kind) / "deploy.lock"
    assert holder(path) is None
    with take(path):
        who = holder(path)
        assert who is not None and who.pid == os.getpid()
    assert holder(path) is None


def test_a_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    assert in_child(lambda: take(path) and None) == 0
    assert holder(path) is None
    take(path).release()


def test_waiting_ends(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    held = take(path)
    pid = os.fork()
    if pid == 0:
        held.release()
        os._exit(0 if _takes(path) else 1)
    time.sleep(0.2)
    held.release()
    assert os.waitpid(pid, 0)[1] == 0


def _takes(path: Path) -> bool:
    try:
        return take(path, wait=30.0) is not None
    except Locked:
        return False


def test_the_mode_is_given_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        take(tmp_path / "lock", mode=0o660).release()
    finally:
        os.umask(old)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o660


def test_a_lock_behind_a_symlink_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises((OSError, Failed)):
        take(tmp_path / "lock")
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / ".treeswap/leases").mkdir(parents=True)
    return Layout(tmp_path)


def test_readers_share_and_who_removes_does_not(layout: Layout) -> None:
    os.close(lease.make(layout, ID))
    one, two = lease.share(layout, ID), lease.share(layout, ID)
    assert one is not None and two is not None
    assert lease.is_held(layout, ID) and lease.exclude(layout, ID) is None
    os.close(one)
    assert lease.is_held(layout, ID)
    os.close(two)
    alone = lease.exclude(layout, ID)
    assert alone is not None
    assert lease.share(layout, ID) is None, "a reader does not wait"
    lease.drop(layout, ID, alone)
    assert lease.share(layout, ID) is None and not layout.lease(ID).exists()


def test_a_reader_never_makes_a_lease(layout: Layout) -> None:
    assert lease.share(layout, ID) is None and not lease.is_held(layout, ID)
    assert list(layout.leases.iterdir()) == []


def test_a_lease_lives_as_long_as_any_process_that_inherited_it(layout: Layout) -> None:
    fd = lease.make(layout, ID)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    os.close(fd)
    assert lease.is_held(layout, ID)
    os.close(write)
    os.waitpid(pid, 0)
    wait_for(lambda: not lease.is_held(layout, ID), "the lease to end")
