"""The single steps that change names: links, exchanges, adoption, each of which can be run again."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from filesystems import KINDS, Mounts
from treeswap import adopt, durable, switch
from treeswap.adopt import Move
from treeswap.durable import system
from treeswap.errors import Damaged
from treeswap.layout import Layout
from treeswap.release import ReleaseId

ID = ReleaseId("20261122180102")


@pytest.mark.parametrize("kind", KINDS)
def test_exchange_of_a_directory_and_a_link(mounts: Mounts, kind: str) -> None:
    room = mounts.directory(kind)
    (room / "directory").mkdir()
    (room / "link").symlink_to("text")
    inode = (room / "directory").stat().st_ino
    durable.exchange(room / "directory", room / "link")
    assert os.readlink(room / "directory") == "text"
    assert (room / "link").lstat().st_ino == inode
    assert durable.can_exchange(room)
    assert sorted(os.listdir(room)) == ["directory", "link"], "the question leaves nothing behind"


def test_exchange_with_nothing_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        durable.exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path) == ["a"]


def test_a_refusal_to_move_is_found_without_moving(tmp_path: Path, mounts: Mounts) -> None:
    (tmp_path / "live/inner").mkdir(parents=True)
    (tmp_path / "room").mkdir()
    assert durable.refusal_to_move(tmp_path / "live", tmp_path / "room") is None
    elsewhere = mounts.directory("xfs")
    refusal = durable.refusal_to_move(tmp_path / "live", elsewhere)
    assert refusal is not None and refusal.errno == errno.EXDEV
    assert os.listdir(tmp_path / "live") == ["inner"] and os.listdir(tmp_path / "room") == os.listdir(elsewhere) == []


def test_a_name_that_is_taken_is_never_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    inode = (tmp_path / "b").stat().st_ino
    with pytest.raises(FileExistsError):
        durable.rename_to_free(tmp_path / "a", tmp_path / "b")

    def refuse(*args: object) -> None:
        raise OSError(errno.EINVAL, "no flags here")

    monkeypatch.setattr(system, "renameat2", refuse)
    with pytest.raises(FileExistsError):
        durable.rename_to_free(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == inode
    durable.rename_to_free(tmp_path / "a", tmp_path / "c")
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]


def test_temporary_names_are_known_again_and_no_others() -> None:
    names = {durable.temporary_name("current") for _ in range(100)}
    assert len(names) == 100 and all(durable.is_temporary(name) for name in names)
    assert durable.is_temporary(durable.temporary_name("x" * 300))
    for name in (".x.tswap", "current", ".current.0123456789abcdeg.tswap", "x.0123456789abcdef.tswap", ".tswap", ""):
        assert not durable.is_temporary(name)


def test_a_replaced_file_is_new_and_leaves_nothing_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    durable.replace_file(path, b"one", 0o640)
    inode = path.stat().st_ino
    durable.replace_file(path, b"two", 0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o640) and path.stat().st_ino != inode

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk"):
        durable.replace_file(path, b"three", 0o640)
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["file"]


def test_a_swung_link_was_never_missing_and_leaves_nothing_on_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "current"
    for text in ("a", "b"):
        durable.swing_link(text, link)
        assert os.readlink(link) == text

    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="the disk"):
        durable.swing_link("c", link)
    assert os.listdir(tmp_path) == ["current"] and os.readlink(link) == "b"


def test_current_is_read_as_what_it_is(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert switch.read_current(layout) is None
    switch.point(layout, ID)
    assert (switch.read_current(layout), os.readlink(layout.current)) == (ID, f"releases/{ID}")
    for text in ("10", f"./releases/{ID}", f"/x/releases/{ID}", "releases/latest"):
        layout.current.unlink()
        layout.current.symlink_to(text)
        with pytest.raises(Damaged, match="releases/ID"):
            switch.read_current(layout)
    switch.unpoint(layout)
    assert switch.read_current(layout) is None


@pytest.fixture
def move(tmp_path: Path) -> Move:
    for directory in ("world/apps/up", "site/trees/apps", "site/shared/apps"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "world/apps/up/photo").write_text("p")
    (tmp_path / "world/apps/.env").write_text("secret")
    site = tmp_path / "site"
    return Move(
        "apps", tmp_path / "world/apps", site / "trees/apps" / ID, f"{site}/current/apps", site / "shared/apps",
        ("up/", ".env", "absent/"),
    )  # fmt: skip


@pytest.mark.parametrize("gap", [False, True])
def test_adoption_again_and_again(move: Move, gap: bool) -> None:
    move = replace(move, gap=gap)
    inode, photo = move.public.stat().st_ino, (move.public / "up").stat().st_ino
    adopt.put_slot(move)
    assert not adopt.is_begun(move)
    for _ in range(3):
        adopt.carry_out(move)
        assert adopt.is_begun(move)
        assert os.readlink(move.public) == move.text and move.slot.lstat().st_ino == inode
        assert (move.shared_root / "up").stat().st_ino == photo
        assert os.readlink(move.slot / ".env") == str(move.shared_root / ".env")
        assert sorted(os.listdir(move.slot)) == [".env", "up"]
        assert sorted(os.listdir(move.shared_root)) == [".env", "up"]


def test_what_has_not_begun_is_undone(move: Move) -> None:
    adopt.put_slot(move)
    adopt.undo(move)
    assert not os.path.lexists(move.slot) and durable.is_plain_directory(move.public)
    adopt.carry_out(move)
    adopt.undo(move)
    assert adopt.is_begun(move), "what has begun goes forward only"
