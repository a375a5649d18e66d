"""What somebody or some program put into a version is neither lost from view nor pruned without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import Bench, snapshot
from killing import run_until
from treeswap.errors import StraysFound


def test_a_deploy_stops_and_names_them_with_what_keeps_them(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "media/photo.jpg").write_text("p")
    (bench.world / "apps/sub/cache").mkdir()
    before = snapshot(bench.root, but=("site/.treeswap/*.lock", "site/.treeswap/cache*"))
    bench.version("v2").deploy(exits=12)
    assert isinstance(bench.error, StraysFound)
    bench.says("2 files", "media/photo.jpg", "apps/sub/cache/", "--shared apps/sub/cache/", "--leave-strays")
    assert bench.current == bench.ids[-1] and len(bench.ids) == 1
    bench.version("v1")
    assert before.count("\n") == snapshot(bench.root, but=("site/.treeswap/*.lock", "site/.treeswap/cache*")).count(
        "\n"
    )


def test_ten_are_named(bench: Bench) -> None:
    bench.tree("apps", {"f": "v1"}).deploy()
    for number in range(14):
        (bench.world / f"apps/stray{number:02}").touch()
    bench.tree("apps", {"f": "v2"}).deploy(exits=12).says("14 files", "stray09", "and 4 more")
    assert bench.error is not None and "stray10" not in bench.error.message


def test_only_versions_that_leave_view_are_looked_at(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "media/photo.jpg").write_text("p")
    bench.version("v2", "apps", "conf").deploy().shows(
        apps={"f": "v2", "sub/g": "v2", "sub/constant": "c", "other": "o"}
    )
    assert (bench.world / "media/photo.jpg").exists()


def test_shared_takes_the_stray_and_what_it_holds_along(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "media/up").mkdir()
    (bench.world / "media/up/photo.jpg").write_text("p")
    (bench.world / "media/note.txt").write_text("n")
    bench.version("v2").deploy(exits=12)
    bench.deploy(shared=["media/up", "media/note.txt"])
    assert (bench.world / "media/f").read_text() == "v2"
    assert (bench.world / "media/up/photo.jpg").read_text() == "p"
    assert (bench.world / "media/note.txt").read_text() == "n"
    assert (bench.site_root / "shared/media/up/photo.jpg").read_text() == "p"
    bench.version("v3").deploy()
    assert (bench.world / "media/up/photo.jpg").read_text() == "p"


def test_what_a_killed_deploy_was_to_share_is_shared_as_a_whole_or_not_yet(bench: Bench, tmp_path: Path) -> None:
    """The next deploy takes what is there for what is shared: a part of it would hide the rest."""
    bench.version("v1").deploy()
    (bench.world / "media/up").mkdir()
    for name in "abc":
        (bench.world / "media/up" / name).write_text(name)
    bench.version("v2")
    outside, number = bench.site_root / "shared/media/up", 0
    while not outside.exists():
        number += 3
        assert not run_until(number, lambda: bench.deploy(shared=["media/up/"]), tmp_path / "log")
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"a": "a", "b": "b", "c": "c"}
    bench.deploy(shared=["media/up/"])
    assert not bench.strange()
    assert (bench.world / "media/f").read_text() == "v2"


def test_leave_strays_goes_on_and_that_version_stays_until_named(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    (bench.world / "media/photo.jpg").write_text("p")
    second = bench.version("v2").deploy(leave_strays=True).shows("v2").current
    third = bench.version("v3").deploy().current
    bench.version("v4").deploy().prune()
    assert bench.ids[0] == first and second not in bench.ids
    assert (bench.slot("media", first) / "photo.jpg").read_text() == "p"
    reasons = {row.record.id: row.kept_because for row in bench.site.releases()}
    assert reasons[first] == "media has strays: photo.jpg"
    bench.prune(first)
    assert first not in bench.ids and third in bench.ids


def test_strays_keep_the_newest_release_that_names_the_version(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    (bench.world / "media/photo.jpg").write_text("p")
    second = bench.tree("apps", {"f": "v2"}).deploy("apps").current
    bench.version("v3").deploy(leave_strays=True).version("v4").deploy().prune()
    assert second in bench.ids and first not in bench.ids
    assert (bench.slot("media", second) / "photo.jpg").exists() and bench.slot("media", second).name == first


def test_a_rollback_only_warns(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").deploy()
    (bench.world / "media/photo.jpg").write_text("p")
    bench.rollback().shows("v1").notes("media", "photo.jpg")


def test_a_switch_stops(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").deploy()
    (bench.world / "media/photo.jpg").write_text("p")
    bench.switch(first, exits=12).says("media/photo.jpg")
    assert (bench.world / "media/f").read_text() == "v2"
    bench.switch(first, leave_strays=True).shows("v1")


@pytest.mark.parametrize("name", ["__pycache__", "sub/__pycache__"])
def test_what_python_leaves_is_ignored(bench: Bench, name: str) -> None:
    bench.version("v1").deploy()
    (bench.world / "apps" / name).mkdir()
    (bench.world / "apps" / name / "x.pyc").touch()
    bench.version("v2").deploy().shows("v2")
    assert bench.site.verify().problems == ()


def test_a_file_that_came_and_went_is_none(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "apps/tmp").touch()
    (bench.world / "apps/tmp").unlink()
    bench.version("v2").deploy().shows("v2")


def test_what_appears_while_the_deploy_runs_stops_it_too(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.version("v2")
    request = bench.request()
    site = bench.site

    def listen(event: object) -> None:
        if getattr(event, "step", "") == "seal":
            (bench.world / "apps/late").touch()

    site.listener = listen
    with pytest.raises(StraysFound, match="apps/late"):
        site.deploy(request)
    (bench.world / "apps/late").unlink()
    bench.shows("v1").rests()
    assert len(bench.ids) == 1


def test_nothing_is_read_below_a_shared_path(bench: Bench) -> None:
    bench.version("v1").deploy(shared=["media/up/"])
    for number in range(3):
        (bench.world / f"media/up/{number}").touch()
    bench.version("v2").deploy()
    assert sorted(os.listdir(bench.world / "media/up")) == ["0", "1", "2"]


def test_what_appears_while_a_deploy_adopts_another_tree_stops_it_before_the_adoption(bench: Bench) -> None:
    bench.version("v1", "apps").deploy("apps")
    bench.version("v2", "apps", "docs").live("docs", {"f": "live"})
    request = bench.request("apps", "docs", adopt=True, add=True)
    site = bench.site

    def listen(event: object) -> None:
        if getattr(event, "step", "") == "seal":
            (bench.world / "apps/late").touch()

    site.listener = listen
    with pytest.raises(StraysFound, match="apps/late"):
        site.deploy(request)
    docs = bench.world / "docs"
    assert docs.is_dir() and not docs.is_symlink()
    assert (bench.world / "apps/f").read_text() == "v1" and len(bench.ids) == 1


def test_a_switch_that_would_adopt_looks_for_strays_too(bench: Bench) -> None:
    bench.version("v1", "apps").deploy("apps")
    bench.version("v2", "apps", "docs").live("docs", {"f": "live"})
    bench.stage("apps", "docs", adopt=True, add=True)
    staged = max(bench.ids)
    (bench.world / "apps/photo.jpg").touch()
    bench.switch(staged, exits=12, adopt=True).says("apps/photo.jpg")
    assert not (bench.world / "docs").is_symlink()
    bench.switch(staged, adopt=True, leave_strays=True)
    assert (bench.world / "docs/f").read_text() == (bench.world / "apps/f").read_text() == "v2"


def test_what_is_not_in_view_cannot_be_taken_out_of_it(bench: Bench) -> None:
    """A tree left the site with its strays: they are in the live directory that it is now."""
    first = bench.version("v1").deploy().current
    second = bench.version("v2").deploy().current
    (bench.world / "media/photo.jpg").write_text("p")
    bench.unadopt("media").switch(first).switch(second)
    bench.version("v3").deploy(add=True, adopt=True).shows("v3")
    adopted = bench.ids[-2]
    assert (bench.slot("media", adopted) / "photo.jpg").read_text() == "p"
