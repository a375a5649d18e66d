"""Trees that join and leave a site."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from bench import Bench, in_child, inodes, snapshot
from treeswap.errors import ConsentNeeded


def test_a_joining_trees_link_dangles_until_the_switch(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.tree("docs", {"f": "v1"}).stage(add=True)
    assert not os.path.lexists(bench.world / "docs")
    assert bench.outcome is not None and bench.outcome.release
    bench.switch(bench.outcome.release).shows("v1")


def test_an_unused_public_link_is_removed_by_recovery(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.tree("docs", {"f": "v1"}).stage(add=True)
    (bench.world / "docs").symlink_to(f"{bench.site_root}/current/docs")
    bench.recover().notes("removed the unused public link")
    assert not os.path.lexists(bench.world / "docs")


def test_a_live_directory_joins_with_both_consents(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.live("docs", {"f": "live"}).tree("docs", {"f": "v2"})
    with pytest.raises(ConsentNeeded) as needed:
        bench.site.deploy(bench.request())
    assert needed.value.flags == ("--adopt", "--add")
    live = (bench.world / "docs").stat().st_ino
    bench.deploy(adopt=True, add=True).shows(docs={"f": "v2"})
    bench.rollback().shows(docs={"f": "live"}, apps={"f": "v1", "sub/g": "v1", "sub/constant": "c", "other": "o"})
    assert bench.slot("docs").stat().st_ino == live


def test_a_tree_leaves_as_an_independent_copy(bench: Bench) -> None:
    bench.version("v1").deploy()
    version = bench.slot("media")
    sealed, before = inodes(version), snapshot(version)
    bench.unadopt("media")
    public = bench.world / "media"
    assert public.is_dir() and not public.is_symlink()
    bench.shows("v1")
    held = {inode for inode, _ in sealed.values()}
    assert not held & {inode for inode, _ in inodes(public).values()}, "what is written there must not reach a version"
    (public / "f").write_text("mine now")
    (public / "other").chmod(0o600)
    assert (snapshot(version), inodes(version)) == (before, sealed)
    assert list(bench.site.trees) == ["apps", "conf"]
    bench.rests()


def test_links_to_shared_paths_stay_links(bench: Bench) -> None:
    bench.version("v1").deploy(shared=["media/up/"])
    (bench.world / "media/up/photo").write_text("p")
    bench.unadopt("media")
    link = bench.world / "media/up"
    assert os.readlink(link) == f"{bench.site_root}/shared/media/up"
    assert (link / "photo").read_text() == "p"


def test_times_and_modes_are_kept_when_a_tree_leaves(bench: Bench) -> None:
    bench.tree("apps", {"f": "1", "d/e": "2"})
    (bench.work / "apps/f").chmod(0o640)
    os.utime(bench.work / "apps/f", (1_000_000_000, 1_000_000_000))
    bench.deploy().unadopt("apps")
    status = (bench.world / "apps/f").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o640, 1_000_000_000)


def test_all_trees_leave(bench: Bench) -> None:
    bench.version("v1").deploy().unadopt().shows("v1")
    assert not any(path.is_symlink() for path in bench.paths.values())
    assert not bench.site.trees and len(bench.ids) == 1


def test_the_plan_of_unadopt_touches_nothing(bench: Bench) -> None:
    bench.version("v1").deploy()
    before = snapshot(bench.root)
    assert len(bench.site.plan_unadopt().steps) == 3
    assert snapshot(bench.root) == before


def test_an_unknown_tree_cannot_leave(bench: Bench) -> None:
    bench.version("v1").deploy().unadopt("docs", exits=2)
    bench.says("docs", "apps, conf, media")


def test_a_tree_that_left_comes_back_by_adoption(bench: Bench) -> None:
    bench.version("v1").deploy().unadopt("media")
    (bench.world / "media/f").write_text("edited")
    bench.version("v2").deploy(adopt=True, add=True).shows("v2").rollback()
    assert (bench.world / "media/f").read_text() == "edited"
    bench.rests()


def test_a_directory_put_in_a_public_paths_place_is_not_deployed_over(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "media").unlink()
    bench.live("media", {"f": "by hand"})
    bench.version("v2").deploy("apps", exits=12).says("plain directory")
    bench.deploy(exits=2)
    bench.deploy(adopt=True).shows("v2").rollback().shows(media={"f": "by hand"})


def test_a_tree_without_public_path_leaves(bench: Bench, tmp_path: Path) -> None:
    from treeswap import Tree
    from treeswap.site import Request

    bench.version("v1").deploy()
    docs = tmp_path / "docs"
    docs.mkdir()
    bench.site.deploy(Request({"docs": docs}, {"docs": Tree("docs")}, add=True))
    bench.unadopt("docs")
    assert list(bench.site.trees) == ["apps", "conf", "media"]
    bench.version("v2").deploy().shows("v2").rests()


def test_with_its_last_version_goes_all_that_the_site_had_of_a_tree_that_left(bench: Bench) -> None:
    bench.version("v1").deploy().unadopt("media")
    bench.version("v2", "apps", "conf").deploy("apps", "conf").version("v3", "apps", "conf").deploy("apps", "conf")
    bench.prune(keep=1, grace=0.0).rests()
    assert not (bench.site_root / "trees/media").exists()
    assert bench.site.status().state == "rest"


def test_a_tree_that_comes_back_unchanged_is_public_again(bench: Bench) -> None:
    bench.version("v1").deploy().unadopt("media")
    shutil.rmtree(bench.world / "media")
    bench.deploy(add=True).shows("v1").rests()


def test_a_tree_that_came_back_half_way_is_not_in_the_way_of_the_others(bench: Bench) -> None:
    """`current` has a version of it still, from before it left."""
    bench.version("v1").deploy().unadopt("media")
    bench.version("v2")

    def dies() -> None:
        site = bench.site
        site.listener = lambda event: os.kill(os.getpid(), signal.SIGKILL) if event.tree == "media" else None
        site.deploy(bench.request("media", adopt=True, add=True))

    in_child(dies)
    assert "media" in bench.site.trees
    bench.deploy("apps", "conf")
    assert [(path / "f").read_text() for path in bench.paths.values()] == ["v2", "v2", "v1"]
    bench.switch(bench.ids[0]).shows("v1").rests()
    bench.deploy(adopt=True, add=True).shows("v2").rests()
    (bench.world / "media").unlink()
    bench.live("media", {"f": "by hand"}).version("v3").deploy("apps", exits=12).says("is a plain directory now")
