"""What must arrive unchanged, judged by the system's own programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filesystems import Mounts
from treeswap import scan, stage
from treeswap.errors import Failed

from . import oracle, zoo
from .easel import Easel
from .nobody import NOBODY, as_nobody

as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to give")


@as_root_only
def test_everything_arrives(filesystem: Path) -> None:
    easel = Easel(filesystem)
    zoo.build(easel.source, as_root=True)
    version = easel.place("1")
    assert len(oracle.facts(version)) > len(zoo.NAMES)
    assert oracle.facts(version) == oracle.facts(easel.source)
    assert scan.examine(version, easel.manifest) == []


@as_root_only
def test_everything_arrives_from_another_filesystem(filesystem: Path, room: Path) -> None:
    easel = Easel(room, filesystem)
    zoo.build(easel.source, as_root=True)
    assert oracle.facts(easel.place("1")) == oracle.facts(easel.source)


def test_everything_arrives_without_root(filesystem: Path) -> None:
    def run() -> None:
        easel = Easel(filesystem)
        zoo.build(easel.source, as_root=False)
        version = easel.place("1")
        assert oracle.facts(version) == oracle.facts(easel.source)
        second = easel.place("2")
        assert oracle.facts(second) == oracle.facts(version)
        assert scan.examine(second, easel.manifest) == []
        stage.remove(version)
        stage.remove(second)
        assert list(easel.versions.iterdir()) == []

    as_nobody(run, filesystem)


def test_acls_and_attributes_arrive(filesystem: Path) -> None:
    easel = Easel(filesystem)
    zoo.decorate(easel.source)
    version = easel.place("1")
    acls, values = oracle.attributes(version)
    assert any(b"1234:rwx" in acl for acl in acls)
    assert any(b"user.origin" in value for value in values)
    assert (acls, values) == oracle.attributes(easel.source)
    assert easel.plan().unchanged
    again = easel.place("2")
    assert oracle.attributes(again) == (acls, values)
    assert oracle.inodes(again)[b"acl/file"] == oracle.inodes(version)[b"acl/file"]


def test_a_changed_acl_is_a_change(easel: Easel) -> None:
    zoo.decorate(easel.source)
    first = easel.place("1")
    os.setxattr(easel.source / "tagged", "user.origin", b"elsewhere")
    assert not easel.plan().unchanged
    second = easel.place("2")
    assert oracle.attributes(second) == oracle.attributes(easel.source) != oracle.attributes(first)
    assert (first / "tagged").stat().st_mtime_ns == (second / "tagged").stat().st_mtime_ns
    assert (first / "tagged").stat().st_ino != (second / "tagged").stat().st_ino


@pytest.mark.parametrize("elsewhere", [False, True])
def test_holes_stay_holes(filesystem: Path, room: Path, elsewhere: bool) -> None:
    easel = Easel(room if elsewhere else filesystem, filesystem)
    zoo.holes(easel.source)
    version = easel.place("1")
    assert oracle.facts(version) == oracle.facts(easel.source)
    for file in sorted((easel.source / "holes").iterdir()):
        assert oracle.kilobytes(file) < file.stat().st_size // 1024 // 2
        assert oracle.kilobytes(version / "holes" / file.name) < file.stat().st_size // 1024 // 2


def test_what_the_room_hands_down_does_not_arrive(easel: Easel) -> None:
    """Versions lie in a directory whose group and default ACL would be given to everything made in it."""
    easel.write({"a/b": "x"})
    if os.geteuid() == 0:
        os.chown(easel.versions, 0, 4242)
    os.chmod(easel.versions, 0o2755)
    zoo.run("setfacl", "-d", "-m", "u:1234:rwx", str(easel.versions))
    version = easel.place("1")
    assert oracle.facts(version) == oracle.facts(easel.source)
    assert oracle.attributes(version) == oracle.attributes(easel.source)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_without_root_the_group_is_the_users_and_not_the_rooms(easel: Easel) -> None:
    easel.write({"a/b": "x"})
    os.chown(easel.versions, NOBODY, 4242)
    os.chmod(easel.versions, 0o2755)

    def run() -> None:
        version = easel.place("1")
        assert {fact.owner for fact in oracle.facts(version).values()} == {f"{NOBODY}:{NOBODY}"}
        assert oracle.facts(version) == oracle.facts(easel.source)

    as_nobody(run, easel.source)


def test_the_umask_does_not_matter(easel: Easel) -> None:
    easel.write({"a/b": "x"})
    os.chmod(easel.source / "a", 0o777)
    os.chmod(easel.source / "a" / "b", 0o666)
    before = os.umask(0o077)
    try:
        version = easel.place("1")
    finally:
        os.umask(before)
    assert oracle.facts(version) == oracle.facts(easel.source)


def test_few_descriptors_are_enough(easel: Easel) -> None:
    zoo.deep(easel.source, "deep", [b"d"] * 2000)

    def run() -> None:
        version = easel.place("1")
        second = easel.place("2")
        assert scan.examine(second, easel.manifest) == []
        assert scan.only_here(second, easel.manifest.entries) == []
        stage.copy(second, easel.versions / "3")
        for path in (version, second, easel.versions / "3"):
            stage.remove(path)
            assert not path.exists()

    as_nobody(run, easel.source.parent, descriptors=120)


def test_an_attribute_that_finds_no_room_is_named(room: Path, mounts: Mounts) -> None:
    """An ext4 of small blocks takes no attribute that is larger than one."""
    easel = Easel(room, mounts.directory("ext4"))
    easel.write({"tagged": "x"})
    os.setxattr(easel.source / "tagged", "user.long", b"x" * 2000)
    with pytest.raises(Failed, match=r"tagged of apps has the attribute user\.long"):
        easel.place("1")
    assert list(easel.versions.iterdir()) == []
