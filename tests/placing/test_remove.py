"""Removing a tree, all of it and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filesystems import unmount
from treeswap import stage
from treeswap.errors import Failed

from . import zoo
from .nobody import as_nobody


def test_everything_can_be_removed(filesystem: Path) -> None:
    (filesystem / "tree").mkdir()
    zoo.build(filesystem / "tree", as_root=os.geteuid() == 0)
    zoo.decorate(filesystem / "tree")
    os.mkfifo(filesystem / "tree" / "fifo")
    stage.remove(filesystem / "tree")
    assert list(filesystem.iterdir()) == []


def test_an_ordinary_user_removes_closed_directories(room: Path) -> None:
    def run() -> None:
        for mode in (0, 0o100, 0o200, 0o400, 0o500, 0o555):
            (room / "tree" / "sub" / "below").mkdir(parents=True)
            (room / "tree" / "sub" / "file").write_text("x")
            (room / "tree" / "sub").chmod(mode)
            (room / "tree").chmod(mode)
            stage.remove(room / "tree")
            assert list(room.iterdir()) == []

    as_nobody(run, room)


@pytest.mark.parametrize("path", ["nothing", "nothing/below"])
def test_nothing_there_is_well(room: Path, path: str) -> None:
    stage.remove(room / path)
    assert list(room.iterdir()) == []


def test_files_and_symlinks_are_removed_and_not_followed(room: Path) -> None:
    (room / "kept").mkdir()
    (room / "kept" / "file").write_text("x")
    (room / "link").symlink_to("kept")
    (room / "file").write_text("x")
    (room / "tree" / "sub").mkdir(parents=True)
    (room / "tree" / "to kept").symlink_to(room / "kept")
    (room / "tree" / "sub" / "up").symlink_to("../../kept")
    for name in ("link", "file", "tree"):
        stage.remove(room / name)
    assert [path.name for path in room.iterdir()] == ["kept"]
    assert (room / "kept" / "file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("below", ["sub", "sub/deeper", ""])
def test_what_is_mounted_in_a_tree_stays(filesystem: Path, below: str) -> None:
    """A bind mount has the same device number as what it is mounted on."""
    precious, tree = filesystem / "precious", filesystem / "tree"
    (precious / "data").mkdir(parents=True)
    (precious / "file").write_text("x")
    mountpoint = tree / below
    mountpoint.mkdir(parents=True)
    zoo.run("mount", "--bind", str(precious), str(mountpoint))
    try:
        with pytest.raises(Failed, match="something is mounted at"):
            stage.remove(tree)
        assert (precious / "file").read_text() == "x"
        assert (precious / "data").is_dir()
    finally:
        unmount(mountpoint)
    stage.remove(tree)
    assert not tree.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_tree_on_an_overlay_can_be_removed(room: Path) -> None:
    """An overlay may number an inode otherwise than the entry that names it."""
    for name in ("lower", "upper", "work", "merged"):
        (room / name).mkdir()
    (room / "lower" / "tree" / "sub").mkdir(parents=True)
    (room / "lower" / "tree" / "sub" / "file").write_text("x")
    layers = f"lowerdir={room / 'lower'},upperdir={room / 'upper'},workdir={room / 'work'}"
    zoo.run("mount", "-t", "overlay", "overlay", "-o", layers, str(room / "merged"))
    try:
        (room / "merged" / "tree" / "sub" / "new").mkdir()
        stage.remove(room / "merged" / "tree")
        assert list((room / "merged").iterdir()) == []
    finally:
        unmount(room / "merged")


def test_what_cannot_be_removed_is_told(room: Path) -> None:
    def run() -> None:
        (room / "closed" / "tree").mkdir(parents=True)
        (room / "closed").chmod(0o500)
        with pytest.raises(PermissionError):
            stage.remove(room / "closed" / "tree")
        assert (room / "closed" / "tree").is_dir()
        (room / "closed").chmod(0o700)

    as_nobody(run, room)
