"""Trees on another filesystem than SITE: their versions live there, and all trees still switch as one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import Bench, inodes, snapshot
from filesystems import Mounts, unmount
from treeswap import Tree
from treeswap.errors import PlaceRefused
from treeswap.site import Request


@pytest.fixture(params=["xfs", "btrfs"])
def elsewhere(request: pytest.FixtureRequest, mounts: Mounts) -> Iterator[Path]:
    """A directory on another filesystem."""
    directory = mounts.directory(request.param)
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def device(path: Path) -> int:
    return path.stat().st_dev


def test_versions_live_beside_their_public_path(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy().shows("v1")
    trees_dir = elsewhere / ".treeswap/media.trees"
    id, site = bench.current, bench.site
    assert site.trees["media"].trees_dir == trees_dir
    assert site.trees["apps"].trees_dir is None
    assert os.readlink(bench.site_root / "releases" / id / "media") == f"{trees_dir}/{id}"
    assert (trees_dir / ".treeswap-site").read_text().splitlines()[0] == site.ground.site.id
    assert device(bench.world / "apps/f") != device(elsewhere / "media/f") == device(elsewhere)
    assert os.readlink(bench.site_root / "shared/media") == f"{trees_dir}/shared"
    bench.rests()


def test_all_trees_go_forward_and_back_as_one(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy().version("v2").deploy().shows("v2")
    kept = inodes(bench.slot("media"))
    bench.version("v3", "apps", "conf").deploy()
    assert inodes(bench.slot("media")) == kept
    bench.rollback().shows("v2").rollback().shows("v1").rests()


def test_unchanged_files_are_linked_there(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy()
    before = (elsewhere / "media/sub/constant").stat().st_ino
    bench.version("v2").deploy()
    assert (elsewhere / "media/sub/constant").stat().st_ino == before


def test_pruned_there(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    for number in range(4):
        bench.version(f"v{number}").deploy(keep=2, grace=0.0)
    held = {name for name in os.listdir(elsewhere / ".treeswap/media.trees") if name.isdigit()}
    assert held == set(bench.ids) and len(held) == 2
    bench.rests()


def test_damage_there_is_found(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy()
    (bench.slot("media") / "f").write_text("xx")
    assert [(p.tree, p.path) for p in bench.site.verify().problems] == [("media", "f")]


def test_adopted_there_with_what_it_shares(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.live("media", {"f": "v0", "up/photo": "p"}).version("v1")
    inode, photo = (elsewhere / "media").stat().st_ino, (elsewhere / "media/up/photo").stat().st_ino
    bench.deploy(adopt=True, shared=["media/up/"]).shows(
        media={"f": "v1", "sub/g": "v1", "sub/constant": "c", "other": "o", "up/photo": "p"}
    )
    assert bench.slot("media", bench.ids[0]).stat().st_ino == inode
    assert os.readlink(elsewhere / "media/up") == f"{bench.site_root}/shared/media/up"
    assert (elsewhere / ".treeswap/media.trees/shared/up/photo").stat().st_ino == photo
    bench.unadopt("media")
    assert (elsewhere / "media/up/photo").stat().st_ino == photo
    bench.rests()


def test_the_way_to_shared_paths_goes_with_the_last_that_names_the_tree(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy().unadopt("media")
    link = bench.site_root / "shared/media"
    assert link.is_symlink(), "a release may still be gone back to"
    bench.version("v2", "apps").deploy("apps").version("v3", "apps").deploy("apps")
    bench.prune(bench.ids[0], keep=1, grace=0.0).recover()
    assert not link.is_symlink()
    bench.rests()


def test_a_tree_that_leaves_before_it_had_a_release_leaves_nothing(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1", "apps").deploy("apps").version("v1", "media").stage("media", add=True)
    bench.prune(bench.ids[-1], grace=0.0).unadopt("media")
    assert os.listdir(bench.site_root / "shared") == []
    assert not (elsewhere / ".treeswap/media.trees").exists()
    bench.rests()


def test_the_way_to_shared_paths_stays_where_there_are_some(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1").deploy(shared=["media/up/"]).unadopt("media")
    (elsewhere / "media/up/photo").touch()
    bench.version("v2", "apps").deploy("apps").version("v3", "apps").deploy("apps")
    bench.prune(bench.ids[0], keep=1, grace=0.0).recover()
    assert (bench.site_root / "shared/media/up/photo").exists()


def test_a_refused_first_deploy_leaves_nothing_there(bench: Bench, elsewhere: Path) -> None:
    bench.paths["media"] = elsewhere / "media"
    bench.version("v1")
    os.mkfifo(bench.work / "media/fifo")
    bench.deploy(exits=12)
    assert os.listdir(elsewhere) == []
    assert not bench.site_root.exists()


def test_a_trees_dir_of_ones_own_choice(bench: Bench, elsewhere: Path) -> None:
    bench.tree("apps", {"f": "v1"}).tree("media", {"f": "v1"}, elsewhere / "media")
    trees = {
        "apps": Tree("apps", bench.world / "apps"),
        "media": Tree("media", elsewhere / "media", trees_dir=elsewhere / "versions"),
    }
    bench.site.deploy(Request({name: bench.work / name for name in trees}, trees))
    bench.shows("v1").rests()
    assert (elsewhere / "versions" / bench.current / "f").read_text() == "v1"


@pytest.fixture
def unmountable(bench: Bench, mounts: Mounts) -> Iterator[tuple[Bench, Path]]:
    """A site with three releases, one of whose trees is on a filesystem that can be taken away; and where it was."""
    directory = mounts.directory("xfs")
    place = bench.root / "mnt"
    place.mkdir()
    subprocess.run(["mount", "--bind", str(directory), str(place)], check=True)
    bench.paths["media"] = place / "media"
    for text in ("v1", "v2", "v3"):
        bench.version(text).deploy()
    try:
        yield bench, directory
    finally:
        if os.path.ismount(place):
            unmount(place)
        subprocess.run(["rm", "-rf", str(directory)], check=True)


def test_what_is_not_mounted_is_never_staged_in_swept_or_judged(unmountable: tuple[Bench, Path]) -> None:
    bench, directory = unmountable
    place = bench.root / "mnt"
    unmount(place)
    before = snapshot(directory)
    bench.version("v4").deploy(exits=12).says("media.trees", "does not carry its site's mark", "mounted?")
    bench.deploy("apps", exits=12)
    bench.rollback(exits=12).says("mark")
    bench.prune(keep=1, grace=0.0)
    bench.recover()
    assert snapshot(directory) == before
    assert os.listdir(place) == []
    problems = bench.site.verify().problems
    assert {(p.tree, p.kind) for p in problems} == {("media", "missing")}
    subprocess.run(["mount", "--bind", str(directory), str(place)], check=True)
    bench.shows("v3").recover()
    assert bench.site.verify().problems == ()


def test_an_unmarked_directory_in_its_place_is_left_alone(unmountable: tuple[Bench, Path]) -> None:
    """What was put into the empty mount point is not the site's, even where it looks like it."""
    bench, _ = unmountable
    place = bench.root / "mnt"
    unmount(place)
    fake = place / ".treeswap/media.trees/20010101000000"
    fake.mkdir(parents=True)
    (fake / "precious").touch()
    bench.recover()
    bench.prune(keep=1, grace=0.0)
    bench.version("v4").deploy(exits=12)
    assert (fake / "precious").exists()


def test_a_trees_dir_of_another_site_is_refused(bench: Bench, elsewhere: Path) -> None:
    (bench.root / "other").mkdir()
    Bench(bench.root / "other").tree("theirs", {"f": "theirs"}, elsewhere / "theirs").deploy()
    trees_dir = elsewhere / ".treeswap/theirs.trees"
    before = snapshot(elsewhere)
    bench.tree("media", {"f": "v1"})
    tree = Tree("media", elsewhere / "media", trees_dir=trees_dir)
    with pytest.raises(PlaceRefused, match="another site"):
        bench.site.deploy(Request({"media": bench.work / "media"}, {"media": tree}))
    assert snapshot(elsewhere) == before
    assert not bench.site_root.exists()


def test_a_default_place_on_a_third_filesystem_is_refused(bench: Bench, mounts: Mounts) -> None:
    """DEST's own directory is published, and what lies above it is on yet another filesystem."""
    one, two = mounts.directory("xfs"), mounts.directory("btrfs")
    place = bench.root / "mnt"
    place.mkdir()
    subprocess.run(["mount", "--bind", str(one), str(place)], check=True)
    try:
        inner = place / "public"
        inner.mkdir()
        subprocess.run(["mount", "--bind", str(two), str(inner)], check=True)
        try:
            bench.tree("media", {"f": "v1"}, inner / "media")
            bench.paths["media"] = inner / "media"
            bench.tree("apps", {"f": "v1"})
            before = snapshot(bench.root)
            bench.deploy(exits=12).says("another filesystem", "trees_dir", str(inner))
            assert snapshot(bench.root) == before
        finally:
            unmount(inner)
    finally:
        unmount(place)
        subprocess.run(["rm", "-rf", str(one), str(two)], check=True)


def test_what_is_mounted_in_an_old_version_stays_and_holds_up_no_other(bench_on: Bench) -> None:
    for text in ("v1", "v2", "v3", "v4"):
        bench_on.version(text).deploy()
    oldest, older, *_ = sorted(bench_on.ids)
    gone = bench_on.slot("apps", older)
    precious = bench_on.root / "precious"
    precious.mkdir()
    (precious / "kept").write_text("k")
    place = bench_on.slot("apps", oldest) / "sub"
    subprocess.run(["mount", "--bind", str(precious), str(place)], check=True)
    try:
        # What is in it is a stray, for which an unnamed version stays.
        pruned = bench_on.site.prune([oldest], keep=1, grace=0.0)
        assert pruned.removed == (older, oldest)
        assert len(pruned.warnings) == 1 and oldest in pruned.warnings[0]
        assert place.exists() and not gone.exists()
    finally:
        unmount(place)
    assert (precious / "kept").read_text() == "k"
    bench_on.recover().shows("v4").rests()
    assert not place.exists()
