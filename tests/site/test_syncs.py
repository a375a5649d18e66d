"""What a change asks the disk for: enough for its promise, and no more, since each sync costs milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import Bench
from treeswap import durable

TREES = ("apps", "conf", "media")


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked for from here on, in order: syncs of files and of filesystems, and links that swing."""
    asked: list[str] = []
    fsync, sync, swing = os.fsync, durable.Barrier.sync, durable.swing_link

    def fsynced(fd: int) -> None:
        asked.append("fsync")
        fsync(fd)

    def synced(barrier: durable.Barrier) -> None:
        asked.append("syncfs")
        sync(barrier)

    def swung(text: str, path: Path) -> None:
        asked.append(f"{path.name} -> {text.partition('/')[0]}")
        swing(text, path)

    monkeypatch.setattr(os, "fsync", fsynced)
    monkeypatch.setattr(durable.Barrier, "sync", synced)
    monkeypatch.setattr(durable, "swing_link", swung)
    return asked


def test_a_deploy_of_many_trees_asks_for_no_more_syncs_than_one_of_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.version("v1").deploy(keep=9)
    asked = _watch(monkeypatch)
    bench.version("v2", "apps").deploy("apps")
    one = asked[:]
    asked.clear()
    bench.version("v3").deploy()
    assert asked == one
    assert asked.count("syncfs") == 1


def test_what_is_adopted_is_on_disk_before_current_names_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TREES:
        bench.live(name, {"f": "just written"})
    asked = _watch(monkeypatch)
    bench.adopt(*TREES)
    assert asked.index("syncfs") < asked.index("current -> releases")


def _loosely(path: Path, data: bytes, mode: int) -> None:
    durable.replace_file_loosely(path, [data[:1], data[1:]], mode)


@pytest.mark.parametrize("replace, syncs", [(durable.replace_file, 2), (durable.replace_file_whole, 1), (_loosely, 0)])
def test_a_file_is_replaced_with_as_many_syncs_as_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path, bytes, int], None], syncs: int
) -> None:
    asked = _watch(monkeypatch)
    replace(tmp_path / "file", b"old", 0o600)
    inode = (tmp_path / "file").stat().st_ino
    asked.clear()
    replace(tmp_path / "file", b"new", 0o640)
    status = (tmp_path / "file").stat()
    assert (tmp_path / "file").read_bytes() == b"new" and status.st_mode & 0o777 == 0o640 and status.st_ino != inode
    assert asked == ["fsync"] * syncs
    assert os.listdir(tmp_path) == ["file"]
