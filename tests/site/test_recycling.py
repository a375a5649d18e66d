"""The version that retention would remove next becomes the new one, if nobody can have anything of it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import Bench, as_nobody, inodes
from callers import callers
from treeswap import durable, occupants


@pytest.fixture
def steady(bench: Bench) -> Bench:
    """A site that has as many releases as it keeps."""
    if not occupants.sees_all():
        pytest.skip("not every process can be looked at here")
    bench.options = {"keep": 3, "grace": 0.0}
    for number in range(4):
        bench.version(f"v{number}").deploy()
    return bench


def next_to_go(bench: Bench, tree: str = "apps") -> Path:
    return bench.slot(tree, bench.ids[0])


def is_recycled(bench: Bench, text: str, tree: str = "apps") -> bool:
    """Whether the next deploy makes its version of a tree in the directory of the oldest one."""
    oldest = next_to_go(bench, tree).stat().st_ino
    bench.version(text).deploy().shows(text).rests()
    assert len(bench.ids) == 3
    return bench.slot(tree).stat().st_ino == oldest


def test_the_oldest_becomes_the_new_one_and_the_others_stay_as_they_are(steady: Bench) -> None:
    for number in range(4, 9):
        kept = {id: inodes(steady.slot("apps", id)) for id in steady.ids[1:]}
        assert is_recycled(steady, f"v{number}")
        for id, before in kept.items():
            after = inodes(steady.slot("apps", id))
            # A link more or less of a file is a change of its inode; of the directories nothing may be.
            assert {path: inode for path, (inode, _) in after.items()} == {p: inode for p, (inode, _) in before.items()}
        assert sorted(os.listdir(steady.slot("apps"))) == ["f", "other", "sub"]


def test_what_it_shows_is_exactly_the_source(steady: Bench) -> None:
    steady.tree("apps", {"f": "f", "sub/g": "g"}).deploy()
    steady.tree("apps", {"f/now a directory": "f", "sub": "now a file", "new/er/still": "n"}).deploy()
    steady.tree("apps", {"f": "and back", "sub/g": "g", "sub/h": "h"}).deploy().tree("apps", {}).deploy()
    for content in ({"f": "1", "a/b/c/d": "2"}, {"a": "1"}, {"a/b": "3", "f": "1"}, {"a/b": "3", "sub/x": "4"}):
        steady.tree("apps", content).deploy().shows(apps=content).rests()


def test_trees_that_keep_their_version_are_left_alone(steady: Bench) -> None:
    for number in range(5):
        steady.version(f"only {number}", "conf").deploy("conf")
        steady.shows(conf={"f": f"only {number}", "sub/g": f"only {number}", "sub/constant": "c", "other": "o"})
        assert steady.slot("apps").name in steady.versions("apps")
    steady.rests()


@contextmanager
def standing(directory: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=directory, stdin=subprocess.PIPE) as process:
        yield
        process.kill()


def test_who_stands_in_it_keeps_it(steady: Bench) -> None:
    oldest = next_to_go(steady)
    with standing(oldest / "sub"):
        steady.version("new").deploy().shows("new")
        assert (oldest / "f").read_text() == "v1"
        steady.rests()


def seen_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention does not see who comes while it decides."""
    monkeypatch.setattr(occupants, "find", lambda *_: {})


@pytest.mark.parametrize("how", ["working directory", "descriptor", "mount"])
def test_who_comes_while_it_is_taken_keeps_it(steady: Bench, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    seen_by_nobody(monkeypatch)
    oldest, id = next_to_go(steady), steady.ids[0]
    elsewhere = steady.root / "elsewhere"
    elsewhere.mkdir()
    before = inodes(oldest)
    asked = []
    is_held = occupants.is_held

    def asks(directory: Path, inodes: set[int]) -> bool:
        asked.append(is_held(directory, inodes))
        return asked[-1]

    monkeypatch.setattr(occupants, "is_held", asks)
    # Retention is not what this is about: it would remove what nobody is seen in.
    monkeypatch.setattr("treeswap.site.pruning.after_a_deploy", lambda _core: [])
    fd = os.open(oldest / "sub", os.O_RDONLY) if how == "descriptor" else -1
    try:
        if how == "mount":
            subprocess.run(["mount", "--bind", str(oldest / "sub"), str(elsewhere)], check=True)
        with standing(oldest / "sub" if how == "working directory" else Path("/")):
            steady.version("new").deploy().shows("new")
            assert asked[-1]
            assert id in steady.ids
            assert steady.slot("apps", id) == oldest
            assert {p: inode for p, (inode, _) in inodes(oldest).items()} == {p: i for p, (i, _) in before.items()}
            assert (oldest / "f").read_text() == "v1"
    finally:
        if fd >= 0:
            os.close(fd)
        if how == "mount":
            subprocess.run(["umount", str(elsewhere)], check=True)
    steady.rests()


def test_what_is_put_back_has_its_name_on_the_disk_before_its_record(
    steady: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the power went, there would be the record of a release that is not there."""
    seen_by_nobody(monkeypatch)
    monkeypatch.setattr(occupants, "is_held", lambda *_: True)
    record = steady.site_root / ".treeswap/records" / f"{steady.ids[0]}.json"
    version = next_to_go(steady).name
    fsync_directory, asked = durable.fsync_directory, set[Path]()

    def fsync(directory: Path) -> None:
        fsync_directory(directory)
        if (directory / version).exists() and not record.exists():
            asked.add(directory)

    for module in callers("fsync_directory"):
        monkeypatch.setattr(module, "fsync_directory", fsync)
    steady.version("new").deploy().shows("new").rests()
    assert asked == {steady.site_root / "trees" / tree for tree in ("apps", "conf", "media")}


def test_a_lease_keeps_it(steady: Bench) -> None:
    oldest = steady.ids[0]
    with steady.site.pin(oldest) as release:
        steady.version("new").deploy().shows("new")
        assert (release["apps"] / "f").read_text() == "v1"
    steady.rests()


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: (path / "stray").touch(), id="a stray"),
        pytest.param(lambda path: _hidden(path), id="a stray that no time tells of"),
        pytest.param(lambda path: _replaced(path / "f"), id="a file that was replaced"),
        pytest.param(lambda path: (path / "sub" / "g").unlink(), id="a file that is missing"),
    ],
)
def test_what_is_not_as_it_was_sealed_is_not_taken(steady: Bench, harm: object) -> None:
    oldest = next_to_go(steady)
    inode = oldest.stat().st_ino
    assert callable(harm)
    harm(oldest)
    steady.version("new").deploy().shows("new")
    assert steady.slot("apps").stat().st_ino != inode
    assert steady.slot("conf").stat().st_ino != inode


def _hidden(version: Path) -> None:
    before = version.stat()
    (version / "stray").touch()
    os.utime(version, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(file: Path) -> None:
    directory = file.parent.stat()
    file.unlink()
    file.write_text("by hand")
    os.utime(file.parent, ns=(directory.st_atime_ns, directory.st_mtime_ns))


def test_what_is_kept_is_not_taken(bench: Bench) -> None:
    """Two releases are what is served and what a rollback goes to."""
    bench.options = {"keep": 2, "grace": 0.0}
    bench.version("first").deploy()
    for number in range(5):
        before = {id: inodes(bench.slot("apps", id)) for id in bench.ids}
        bench.version(f"v{number}").deploy().shows(f"v{number}")
        for id in bench.ids[:-1]:
            assert {p: i for p, (i, _) in inodes(bench.slot("apps", id)).items()} == {
                p: i for p, (i, _) in before[id].items()
            }


def test_within_its_grace_time_it_is_not_taken(bench: Bench) -> None:
    bench.options = {"keep": 2, "grace": 3600.0}
    for number in range(5):
        bench.version(f"v{number}").deploy()
    assert len(bench.ids) == 5
    bench.clock.forward(hours=2)
    bench.version("v5").deploy().shows("v5").rests()


def test_an_adopted_one_is_not_taken(bench: Bench) -> None:
    bench.options = {"keep": 2, "grace": 0.0}
    bench.live("apps", {"f": "live"}).tree("apps", {"f": "v0"}).deploy(adopt=True)
    adopted = bench.slot("apps", bench.ids[0])
    for number in range(5):
        bench.tree("apps", {"f": f"v{number + 1}"}).deploy()
        assert (adopted / "f").read_text() == "live"


def test_an_ordinary_user_takes_none(bench: Bench) -> None:
    if os.geteuid() == 0:
        shutil.chown(bench.root, "nobody")
        for path in bench.root.iterdir():
            shutil.chown(path, "nobody")

    def deploys() -> None:
        bench.options = {"keep": 3, "grace": 0.0}
        for number in range(6):
            bench.version(f"v{number}").deploy()
        assert not is_recycled(bench, "new")

    as_nobody(deploys)


def test_a_rollback_meanwhile_keeps_what_it_would_go_to_next(steady: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from treeswap import scan

    as_sealed = scan.as_sealed
    rolled: list[object] = []

    def meanwhile(directory: Path, manifest: object) -> object:
        if not rolled:
            rolled.append(steady.site.rollback().release)
        return as_sealed(directory, manifest)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "as_sealed", meanwhile)
    before = steady.ids
    steady.version("new").deploy(exits=12).says("while this deploy ran")
    assert steady.ids == before
    steady.shows("v2").rollback().shows("v1").rests()


@pytest.mark.parametrize("call", ["rename_to_free", "link", "symlink"])
def test_an_error_on_the_way_costs_one_old_release_at_most(
    steady: Bench, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = steady.ids

    def fails(*arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    steady.tree("apps", {"f": "v3", "sub/g": "new", "sub/constant": "c", "other": "o"})
    (steady.work / "apps" / "link").symlink_to("f")
    with monkeypatch.context() as patch:
        patch.setattr(durable, call, fails)
        steady.deploy(exits=12)
    assert steady.ids in (before, before[1:])
    steady.shows("v3").rests()
    steady.version("again").deploy().shows("again").rests()


def test_leases_that_are_left_show_that_nothing_was_forgotten(steady: Bench) -> None:
    for number in range(3):
        steady.version(f"w{number}").deploy()
    leases = sorted(os.listdir(steady.site_root / ".treeswap/leases"))
    assert leases == steady.ids == sorted(os.listdir(steady.site_root / "releases"))
    assert [entry.what for entry in steady.site.history()][-2:] == ["removed", f"deploy from {steady.ids[-2]}"]
