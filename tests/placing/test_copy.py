"""Independent copies of versions."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from filesystems import Mounts
from treeswap import stage
from treeswap.errors import Failed, SourceRefused

from . import oracle, zoo
from .easel import Easel
from .nobody import as_nobody


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to give")
def test_a_copy_is_the_same_and_shares_nothing(filesystem: Path) -> None:
    easel = Easel(filesystem).with_tree(shared=("uploads/",))
    zoo.build(easel.source, as_root=True)
    easel.place("1")
    (easel.source / "new").write_text("x")
    version = easel.place("2")
    before = oracle.facts(version)
    assert stage.copy(version, filesystem / "copy") == []
    assert oracle.facts(filesystem / "copy") == before == oracle.facts(version)
    assert before[b"uploads"].target == os.fsencode(easel.shared_root / "uploads")
    assert not set(oracle.inodes(version).values()) & set(oracle.inodes(filesystem / "copy").values())


def test_a_copy_has_acls_and_attributes(easel: Easel, mounts: Mounts) -> None:
    zoo.decorate(easel.source)
    copy = mounts.directory("xfs") / "copy"
    stage.copy(easel.source, copy)
    assert oracle.attributes(copy) == oracle.attributes(easel.source)


def test_a_single_file_is_copied_with_all_it_has(easel: Easel) -> None:
    path = easel.source / ".env"
    path.write_text("secret")
    os.setxattr(path, "user.x", b"1")
    os.utime(path, ns=(5, 1_234_567_890_123_456_789))
    path.chmod(0o640)
    (easel.versions / "copies").mkdir()
    assert stage.copy(path, easel.versions / "copies" / "renamed") == []
    (copied,) = [fact for name, fact in oracle.facts(easel.versions / "copies").items() if name]
    assert copied == oracle.facts(easel.source)[b".env"]
    assert os.getxattr(easel.versions / "copies" / "renamed", "user.x") == b"1"


def test_what_belongs_to_running_programs_is_left_out_and_told(easel: Easel) -> None:
    easel.write({"file": "x", "dir/file": "x"})
    os.mkfifo(easel.source / "dir" / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(easel.source / "socket"))
    assert stage.copy(easel.source, easel.versions / "copy") == ["dir/fifo", "socket"]
    assert sorted(oracle.facts(easel.versions / "copy")) == [b"", b"dir", b"dir/file", b"file"]


def test_what_cannot_be_copied_leaves_nothing(easel: Easel) -> None:
    easel.write({"fine": "x", "secret": "x"})

    def run() -> None:
        (easel.source / "secret").chmod(0)
        for source in (easel.source, easel.source / "secret", easel.source / "nothing"):
            with pytest.raises(SourceRefused):
                stage.copy(source, easel.versions / "copy")
            assert list(easel.versions.iterdir()) == []

    as_nobody(run, easel.source.parent)


def test_a_copy_takes_nothings_place(easel: Easel) -> None:
    easel.write({"file": "x"})
    (easel.versions / "there").mkdir()
    for source in (easel.source, easel.source / "file"):
        with pytest.raises(Failed, match="cannot be made at"):
            stage.copy(source, easel.versions / "there")
    assert list((easel.versions / "there").iterdir()) == []
