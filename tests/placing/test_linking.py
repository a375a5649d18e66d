"""What a second version shares with the first, and that the first never notices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filesystems import Mounts
from treeswap import stage
from treeswap.manifest import Manifest
from treeswap.outcomes import FileCounts
from treeswap.stage import Base

from . import oracle, zoo
from .easel import Easel, copied
from .nobody import as_nobody

FILES = {"a.txt": "one", "dir/b.txt": "two", "dir/c.txt": "three"}


def test_only_what_changed_is_copied(filesystem: Path) -> None:
    easel = Easel(filesystem)
    zoo.build(easel.source, as_root=os.geteuid() == 0)
    first = easel.place("1")
    before = oracle.facts(first)
    changed = easel.source / "names" / "plain.txt"
    changed.write_text("other content")
    (easel.source / "new").write_text("new")
    (easel.source / "big").unlink()
    second = easel.place("2")
    assert oracle.timeless(second) == oracle.timeless(easel.source)
    assert oracle.facts(first) == before
    inodes, shared = oracle.inodes(second), oracle.inodes(first)
    files = {path for path, fact in before.items() if fact.kind != "d"}
    own = {path for path in inodes if path in files and inodes[path] != shared[path]}
    assert own == {b"names/plain.txt"}
    assert easel.counts == FileCounts(linked=len(files) - 2, copied=2, removed=1)


def test_an_unchanged_source_needs_nothing(easel: Easel) -> None:
    easel.write(FILES)
    os.symlink("a.txt", easel.source / "link")
    easel.place("1")
    work = easel.plan()
    assert work.unchanged and copied(work) == [] and work.counts == FileCounts(linked=4)
    os.utime(easel.source / "a.txt", ns=(1, 1))
    os.utime(easel.source / "dir", ns=(1, 1))
    assert easel.plan().unchanged


@pytest.mark.parametrize(
    "change",
    [
        lambda source: (source / "a.txt").write_text("eno"),
        lambda source: (source / "a.txt").write_text("longer"),
        lambda source: (source / "a.txt").chmod(0o600),
        lambda source: (source / "dir").chmod(0o700),
        lambda source: source.chmod(0o711),
        lambda source: (source / "new").mkdir(),
        lambda source: (source / "empty").rmdir(),
        lambda source: (source / "a.txt").unlink(),
        lambda source: ((source / "link").unlink(), (source / "link").symlink_to("elsewhere")),
        lambda source: ((source / "a.txt").unlink(), (source / "a.txt").symlink_to("link")),
        lambda source: ((source / "link").unlink(), (source / "link").write_text("file now")),
        lambda source: ((source / "empty").rmdir(), (source / "empty").write_text("file now")),
        lambda source: os.setxattr(source / "dir", "user.x", b"1"),
        lambda source: os.chown(source / "a.txt", 12, 34) if os.geteuid() == 0 else (source / "a.txt").chmod(0o640),
    ],
)
def test_every_change_is_seen(easel: Easel, change: object) -> None:
    easel.write(FILES)
    (easel.source / "link").symlink_to("a.txt")
    (easel.source / "empty").mkdir()
    first = easel.place("1")
    before = oracle.facts(first)
    assert callable(change)
    change(easel.source)
    assert not easel.plan().unchanged
    second = easel.place("2")
    assert all_but_times(second) == all_but_times(easel.source) != all_but_times(first)
    assert oracle.facts(first) == before


def all_but_times(root: Path) -> object:
    return oracle.timeless(root), oracle.attributes(root)


def test_a_version_that_must_not_be_linked_is_copied(filesystem: Path) -> None:
    easel = Easel(filesystem)
    easel.write({**FILES, "large": os.urandom(300_000)})
    first = easel.place("1")
    easel.base = Base(easel.manifest, first, linkable=False)
    assert easel.plan().unchanged
    second = easel.place("2")
    assert oracle.facts(second) == oracle.facts(first), "what did not change keeps its time all the same"
    assert not set(oracle.inodes(second).values()) & set(oracle.inodes(first).values())
    assert easel.counts == FileCounts(copied=4)


def test_touched_files_are_fresh_in_every_version(easel: Easel) -> None:
    easel.with_tree(touch=("dir/b.txt",)).write(FILES)
    first = easel.place("1")
    assert not easel.plan().unchanged
    second = easel.place("2")
    assert (second / "dir/b.txt").stat().st_ino != (first / "dir/b.txt").stat().st_ino
    assert (second / "dir/b.txt").stat().st_mtime > (first / "dir/b.txt").stat().st_mtime
    assert (second / "dir/c.txt").stat().st_ino == (first / "dir/c.txt").stat().st_ino


@pytest.mark.parametrize("damage", [lambda file: file.write_text("eno"), lambda file: file.unlink()])
def test_a_damaged_version_is_not_linked_from(easel: Easel, damage: object) -> None:
    """Somebody wrote into a version: what is made next has the source's content, not that."""
    easel.write(FILES)
    first = easel.place("1")
    assert callable(damage)
    damage(first / "a.txt")
    second = easel.place("2")
    assert (second / "a.txt").read_text() == "one"
    assert easel.counts == FileCounts(linked=2, copied=1)


def test_a_damaged_directory_is_not_linked_from(easel: Easel) -> None:
    easel.write(FILES)
    first = easel.place("1")
    (first / "dir").rename(first / "elsewhere")
    (first / "dir").symlink_to("elsewhere")
    assert oracle.timeless(easel.place("2")) == oracle.timeless(easel.source)
    assert easel.counts == FileCounts(linked=1, copied=2)


def test_a_file_with_all_the_links_it_can_have_is_copied(mounts: Mounts) -> None:
    """ext4 has 65,000 links for an inode and not one more."""
    room = mounts.directory("ext4")
    easel = Easel(room).write(FILES)
    first = easel.place("1")
    (room / "links").mkdir()
    for i in range(64_999):
        os.link(first / "a.txt", room / "links" / str(i))
    second = easel.place("2")
    assert easel.counts == FileCounts(linked=2, copied=1)
    assert oracle.facts(second) == oracle.facts(first)
    assert (second / "a.txt").stat().st_nlink == 1
    stage.remove(room)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_others_are_copied_where_they_may_not_be_linked(easel: Easel) -> None:
    easel.write(FILES)

    def first_version() -> None:
        easel.place("1")

    first_version()
    assert easel.base is not None
    unowned = {path: entry._replace(uid=None, gid=None) for path, entry in easel.manifest.entries.items()}
    easel.base = Base(Manifest.of(unowned), easel.base.directory, linkable=True)

    def second_version() -> None:
        os.chdir("/")
        second = easel.place("2")
        assert easel.counts == FileCounts(linked=0, copied=3)
        assert {fact.owner for fact in oracle.facts(second).values()} == {"65534:65534"}

    versions = easel.versions
    os.chmod(versions, 0o777)
    as_nobody(second_version, easel.source)


def test_a_file_that_may_not_be_linked_is_copied(mounts: Mounts) -> None:
    """Nobody may link a file that was made immutable."""
    easel = Easel(mounts.directory("ext4")).write(FILES)
    first = easel.place("1")
    zoo.run("chattr", "+i", str(first / "a.txt"))
    try:
        second = easel.place("2")
    finally:
        zoo.run("chattr", "-i", str(first / "a.txt"))
    assert easel.counts == FileCounts(linked=2, copied=1)
    assert oracle.facts(second) == oracle.facts(first)


def test_a_base_on_another_filesystem_is_copied_from_the_source(room: Path, mounts: Mounts) -> None:
    easel = Easel(room).write(FILES)
    first = easel.place("1")
    easel.versions = mounts.directory("ext4")
    second = easel.place("2")
    assert oracle.facts(second) == oracle.facts(first)
    assert easel.counts == FileCounts(linked=0, copied=3)


def test_large_files_share_their_blocks_where_the_filesystem_can(mounts: Mounts) -> None:
    for kind in ("xfs", "btrfs"):
        room = mounts.directory(kind)
        easel = Easel(room).write({"large": os.urandom(20 << 20)})
        zoo.run("sync", "-f", str(room))
        before = os.statvfs(room).f_bfree * os.statvfs(room).f_frsize
        version = easel.place("1")
        zoo.run("sync", "-f", str(room))
        after = os.statvfs(room).f_bfree * os.statvfs(room).f_frsize
        assert oracle.facts(version) == oracle.facts(easel.source)
        assert before - after < 5 << 20
