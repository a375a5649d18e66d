"""Somebody on shared hosting, without root, has all of it; and several people may share one site."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import Bench, as_nobody, in_child
from treeswap.errors import DestinationRefused, Failed


@pytest.fixture
def theirs(bench: Bench) -> Iterator[Bench]:
    """A bench that belongs to an ordinary user."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for directory in (bench.root, bench.world, bench.work):
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    yield bench


def first_later_and_back(bench: Bench) -> None:
    bench.version("v1").deploy().shows("v1").version("v2").deploy().shows("v2")
    bench.rollback().shows("v1").switch(bench.ids[1]).shows("v2").rests()


def adoption_and_back(bench: Bench) -> None:
    for name in ("apps", "conf", "media"):
        bench.live(name, {"f": "v0", "sub/g": "v0", "sub/constant": "c", "other": "o"})
    bench.live("apps", {"up/constant": "photo"}).version("v1")
    inode = (bench.world / "apps").stat().st_ino
    bench.deploy(adopt=True, shared=["apps/up/"]).shows("v1").rollback().shows("v0")
    assert (bench.world / "apps").stat().st_ino == inode
    assert (bench.world / "apps/up/constant").read_text() == "photo"
    bench.rests().unadopt().shows("v0")


def read_only_directories(bench: Bench) -> None:
    bench.tree("apps", {"d/e/f": "v1"})
    for directory in ("d/e", "d", ""):
        (bench.work / "apps" / directory).chmod(0o555)
    bench.deploy(keep=1, grace=0.0)
    (bench.work / "apps/d/e/f").chmod(0o600)
    (bench.work / "apps/d/e/f").write_text("v2")
    bench.deploy().shows(apps={"d/e/f": "v2"})
    assert (bench.world / "apps/d/e").stat().st_mode & 0o777 == 0o555
    (bench.work / "apps/d/e/f").write_text("v3")
    bench.deploy().prune()
    assert len(bench.ids) == 2 and len(bench.versions("apps")) == 2
    bench.rests().unadopt()
    assert (bench.world / "apps/d/e/f").read_text() == "v3"


def pinned_and_pruned(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    with bench.site.pin():
        for text in ("v2", "v3"):
            bench.version(text).deploy()
        assert first in bench.ids
    bench.prune()
    assert first not in bench.ids
    bench.rests()


def strays_and_damage(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "apps/stray").touch()
    bench.version("v2").deploy(exits=12).deploy(leave_strays=True)
    (bench.slot("conf") / "f").write_text("xx")
    assert [problem.path for problem in bench.site.verify("current").problems] == ["f"]


STORIES = [first_later_and_back, adoption_and_back, read_only_directories, pinned_and_pruned, strays_and_damage]


@pytest.mark.parametrize("story", STORIES)
def test_without_root(theirs: Bench, story: Callable[[Bench], None]) -> None:
    as_nobody(lambda: story(theirs))


def test_files_of_others_are_copied_where_they_may_not_be_linked(theirs: Bench) -> None:
    """protected_hardlinks; and a source of root's, which is readable, is all that is needed."""
    theirs.version("v1")
    if os.geteuid() == 0:
        for path in (theirs.work / "apps").rglob("*"):
            os.chown(path, 0, 0)
    as_nobody(lambda: theirs.deploy().shows("v1").deploy(force=True).rests())
    assert {path.lstat().st_uid for path in theirs.slot("apps").rglob("*")} == {pwd.getpwnam("nobody").pw_uid}


def test_what_belongs_to_root_is_not_adopted(theirs: Bench) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make a directory that is not one's own")
    theirs.version("v1").live("apps", {"f": "v0"})

    def story() -> None:
        theirs.deploy(adopt=True, exits=12)
        assert isinstance(theirs.error, DestinationRefused) and not theirs.site_root.exists()

    as_nobody(story)
    assert (theirs.world / "apps/f").read_text() == "v0" and not (theirs.world / "apps").is_symlink()


def test_a_group_shares_a_site(bench: Bench) -> None:
    """Who made it, and another member, deploy and roll back in turns."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be two people")
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    for directory in (bench.root, bench.world):
        os.chown(directory, 0, nobody.pw_gid)
        directory.chmod(0o775)
    bench.version("v1").deploy(group=group, keep=1, grace=0.0)
    bench.version("v2")
    as_nobody(lambda: bench.deploy().shows("v2"))
    bench.version("v3").deploy().shows("v3")
    as_nobody(lambda: bench.rollback().shows("v2"))
    bench.version("v4").deploy().shows("v4")
    for text in ("v5", "v6", "v7"):
        bench.version(text)
        as_nobody(lambda text=text: bench.deploy().shows(text))  # type: ignore[misc]
    bench.version("v8").deploy().shows("v8").rests()


def test_a_stranger_may_look_and_not_touch(theirs: Bench) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    theirs.version("v1")
    as_nobody(lambda: theirs.deploy())
    theirs.version("v2")
    as_nobody(lambda: theirs.deploy())

    def stranger() -> None:
        os.setgid(65533)
        os.setuid(65533)
        status = theirs.site.status()
        assert status.state == "rest" and status.rollback_to == theirs.ids[0]
        assert len(theirs.site.releases()) == 2 and len(theirs.site.history()) == 2
        assert any(finding.ok is False for finding in theirs.site.check())
        with theirs.site.pin() as release:
            assert (release["apps"] / "f").read_text() == "v2"
        theirs.rollback(exits=12)
        assert isinstance(theirs.error, Failed)
        for secret in ("manifests/apps/" + theirs.current, "deploy.lock", "logs", "cache"):
            assert not os.access(Path(theirs.site_root) / ".treeswap" / secret, os.R_OK)

    assert in_child(stranger) == 0
    theirs.shows("v2")
