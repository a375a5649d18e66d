"""Several trees, one switch: first, later and partial deploys, and what a kept tree costs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import treeswap
from bench import Bench, inodes, snapshot
from treeswap.errors import ConsentNeeded, UsageError
from treeswap.site import Pair, Request


def test_three_trees_appear_and_change_at_once(bench: Bench) -> None:
    bench.version("v1").deploy().shows("v1")
    first = bench.current
    for name in ("apps", "conf", "media"):
        assert os.readlink(bench.world / name) == f"{bench.site_root}/current/{name}"
    bench.version("v2").deploy().shows("v2")
    assert bench.current > first
    assert bench.outcome is not None
    assert (bench.outcome.previous, dict(bench.outcome.trees)) == (first, dict.fromkeys(bench.paths, "new"))
    bench.rests()


def test_the_site_on_disk_is_what_people_know(bench: Bench) -> None:
    bench.version("v1").deploy()
    id, site = bench.current, bench.site_root
    assert os.readlink(site / "current") == f"releases/{id}"
    links = {path.name: os.readlink(path) for path in (site / "releases" / id).iterdir()}
    assert links == {
        "apps": f"../../trees/apps/{id}",
        "conf": f"../../trees/conf/{id}",
        "media": f"../../trees/media/{id}",
        "run": f"../../run/{id}",
    }
    assert sorted(os.listdir(site)) == [".treeswap", "current", "releases", "run", "shared", "trees"]


def test_modes_hold_whatever_the_umask(bench: Bench) -> None:
    old = os.umask(0o077)
    try:
        bench.version("v1").deploy(revision="abc")
        (bench.site_root / ".treeswap/hold.json").unlink(missing_ok=True)
    finally:
        os.umask(old)
    site, id = bench.site_root, bench.current

    def modes(*paths: str) -> set[int]:
        return {(site / path).stat().st_mode & 0o777 for path in paths}

    assert modes(".", "releases", f"releases/{id}", "trees", "trees/apps", "run", f"run/{id}", "shared") == {0o755}
    assert modes(".treeswap") == {0o711}
    private = [f".treeswap/records/{id}.json", ".treeswap/journal.jsonl", f".treeswap/leases/{id}"]
    assert modes(*private, ".treeswap/site.json", f"releases/{id}/REVISION") == {0o644}
    secret = [".treeswap/deploy.lock", ".treeswap/switch.lock", f".treeswap/manifests/apps/{id}"]
    assert modes(*secret) == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (site / ".treeswap/cache").iterdir()} <= {0o600}


def test_nothing_to_do_makes_nothing(bench: Bench) -> None:
    bench.version("v1").deploy()
    before = snapshot(bench.site_root, but=(".treeswap/*.lock", ".treeswap/cache*"))
    bench.deploy()
    assert bench.outcome is not None and not bench.outcome.changed
    assert snapshot(bench.site_root, but=(".treeswap/*.lock", ".treeswap/cache*")) == before


def test_force_makes_a_release_of_the_same(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.deploy(force=True).shows("v1").rests()
    assert bench.current > first
    assert bench.versions("apps") == [first]


def test_a_tree_that_is_not_named_keeps_its_version(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    slot, before = bench.slot("media"), inodes(bench.slot("media"))
    bench.tree("apps", {"f": "v2"}).deploy("apps").shows(apps={"f": "v2"})
    assert bench.outcome is not None
    assert dict(bench.outcome.trees) == {"apps": "new", "conf": "kept", "media": "kept"}
    assert (bench.slot("media"), inodes(slot)) == (slot, before)
    assert bench.versions("media") == [first]


def test_a_tree_that_did_not_change_keeps_its_version(bench: Bench) -> None:
    bench.version("v1").deploy()
    before = inodes(bench.slot("media"))
    bench.tree("apps", {"f": "v2"}).deploy()
    assert bench.outcome is not None
    assert dict(bench.outcome.trees) == {"apps": "new", "conf": "kept", "media": "kept"}
    assert inodes(bench.slot("media")) == before


def test_unchanged_files_of_a_changed_tree_are_linked(bench: Bench) -> None:
    bench.version("v1").deploy()
    first = bench.slot("apps")
    old, old_changed = (first / "sub/constant").stat(), (first / "f").stat()
    bench.version("v2").deploy()
    assert (bench.slot("apps") / "sub/constant").stat().st_ino == old.st_ino
    assert (bench.slot("apps") / "f").stat().st_ino != old_changed.st_ino
    assert (first / "f").read_text() == "v1"
    assert bench.outcome is not None
    assert (bench.outcome.files.linked, bench.outcome.files.copied) == (6, 6)


def test_files_that_left_the_source_are_gone(bench: Bench) -> None:
    bench.tree("apps", {"a": "1", "b/c": "2"}).deploy()
    bench.tree("apps", {"a": "1"}).deploy().shows(apps={"a": "1"})
    assert bench.outcome is not None and bench.outcome.files.removed == 1


def test_the_source_is_left_as_it_was(bench: Bench) -> None:
    bench.version("v1")
    before = snapshot(bench.work)
    bench.deploy()
    assert snapshot(bench.work) == before


def test_a_plan_touches_nothing_and_tells_what_a_deploy_then_does(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.tree("apps", {"f": "v2"})
    before = snapshot(bench.root)
    plan = bench.site.plan(bench.request())
    assert snapshot(bench.root) == before
    assert {tree.name: tree.state for tree in plan.trees} == {"apps": "new", "conf": "kept", "media": "kept"}
    bench.deploy()
    assert bench.outcome is not None
    assert dict(bench.outcome.trees) == {tree.name: tree.state for tree in plan.trees}


def test_a_plan_for_a_site_that_is_not_there_makes_none(bench: Bench) -> None:
    bench.version("v1")
    before = snapshot(bench.root)
    assert bench.site.plan(bench.request()).changes
    assert snapshot(bench.root) == before


def test_the_site_is_beside_the_first_destination_by_default(bench: Bench) -> None:
    bench.version("v1")
    pairs = [Pair(bench.work / name, bench.world / name) for name in bench.paths]
    site = treeswap.Site.for_copy(pairs)
    site.deploy(site.request_for(pairs))
    assert site.root == bench.world / ".treeswap/apps"
    bench.shows("v1")
    # Where the public paths lead, it is found again, whatever DEST comes first.
    again = treeswap.Site.for_copy(pairs[::-1])
    assert again.root == site.root
    assert not again.deploy(again.request_for(pairs[::-1])).changed


@pytest.mark.parametrize("published", ["public_html", "htdocs", "www", "html", "public", "static", "media", "wwwroot"])
def test_the_site_is_never_below_what_web_servers_publish(bench: Bench, published: str) -> None:
    parent = bench.world / published / "deep"
    parent.mkdir(parents=True)
    site = treeswap.Site.for_copy([Pair(bench.work / "apps", parent / "apps")])
    assert site.root == bench.world / ".treeswap/apps"


@pytest.mark.parametrize("marker", ["index.html", "index.php", ".htaccess"])
def test_a_directory_with_an_index_is_published(bench: Bench, marker: str) -> None:
    (bench.world / "a/b").mkdir(parents=True)
    (bench.world / "a" / marker).touch()
    site = treeswap.Site.for_copy([Pair(bench.work / "apps", bench.world / "a/b/apps")])
    assert site.root == bench.world / ".treeswap/apps"


def test_a_missing_public_link_is_made_again_by_every_run(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.world / "conf").unlink()
    bench.deploy().shows("v1").notes("conf")
    (bench.world / "conf").unlink()
    bench.recover().shows("v1")
    (bench.world / "conf").unlink()
    bench.version("v2").deploy("apps").shows(conf={"f": "v1", "sub/g": "v1", "sub/constant": "c", "other": "o"})


def test_staging_then_switching(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").stage().shows("v1")
    assert bench.outcome is not None and bench.outcome.release
    second = bench.outcome.release
    assert bench.states() == {first: "current", second: "ready"}
    bench.switch(second).shows("v2")
    assert bench.states() == {first: "previous", second: "current"}
    bench.rests()


def test_a_staged_release_outlives_later_deploys_until_one_is_newer(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").stage()
    assert bench.outcome is not None and bench.outcome.release
    staged = bench.outcome.release
    bench.prune(grace=0.0, keep=1)
    assert staged in bench.ids
    bench.version("v3").deploy(keep=1, grace=0.0)
    assert staged not in bench.ids


def test_the_python_interface_as_the_page_shows_it(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.version("v2")
    site = treeswap.Site.open(bench.site_root)
    release = site.stage({"apps": str(bench.work / "apps"), "media": bench.work / "media"})
    bench.shows("v1")
    site.switch(release)
    assert (bench.world / "apps/f").read_text() == "v2"
    assert (bench.world / "conf/f").read_text() == "v1"
    site.rollback()
    bench.shows("v1")
    with site.pin() as held:
        assert (held["conf"] / "f").read_text() == "v1"
        assert held.id == bench.current


def test_stage_of_an_unknown_tree_is_refused(bench: Bench) -> None:
    bench.version("v1").deploy()
    with pytest.raises(UsageError, match="nope"):
        bench.site.stage({"nope": bench.work / "apps"})


def test_a_site_is_found_from_anywhere_in_it(bench: Bench) -> None:
    bench.version("v1").deploy()
    for path in (bench.site_root, bench.world / "apps", bench.world / "apps/sub", bench.slot("media") / "sub"):
        assert treeswap.Site.open(path).root == bench.site_root
    with pytest.raises(treeswap.TreeswapError) as refused:
        treeswap.Site.open(bench.world)
    assert refused.value.exit_code == 10


def test_a_tree_without_a_public_path_is_served_through_current(bench: Bench) -> None:
    bench.tree("apps", {"f": "v1"})
    request = Request({"apps": bench.work / "apps"}, {"apps": treeswap.Tree("apps")})
    bench.site.deploy(request)
    assert (bench.site_root / "current/apps/f").read_text() == "v1"
    assert bench.site.status().trees["apps"].ok


def test_touched_files_are_new_in_every_release(bench: Bench) -> None:
    bench.tree("apps", {"wsgi.py": "w", "f": "v1"}).tree("conf", {"f": "v1"})
    trees = {
        "apps": treeswap.Tree("apps", bench.world / "apps", touch=("wsgi.py",)),
        "conf": treeswap.Tree("conf", bench.world / "conf"),
    }
    request = Request({name: bench.work / name for name in trees}, trees)
    bench.site.deploy(request)
    first = (bench.world / "apps/wsgi.py").stat()
    outcome = bench.site.deploy(request)
    second = (bench.world / "apps/wsgi.py").stat()
    assert dict(outcome.trees) == {"apps": "new", "conf": "kept"}
    assert second.st_ino != first.st_ino and int(second.st_mtime) > int(first.st_mtime)


def test_excluded_files_do_not_arrive_and_the_site_remembers(bench: Bench) -> None:
    bench.tree("apps", {"a.py": "1", "a.pyc": "2", ".git/x": "3"}).deploy(exclude=["*.pyc", ".git"])
    bench.shows(apps={"a.py": "1"})
    bench.deploy()
    assert bench.outcome is not None and not bench.outcome.changed


def test_commands_after_the_switch_run_for_deploy_and_rollback(bench: Bench) -> None:
    said = bench.root / "said"
    command = f'printf "%s %s %s\\n" "$TREESWAP_RELEASE_ID" "$TREESWAP_RELEASE" "$(cat f)" >> {said}'
    first = bench.version("v1").deploy(after=[command]).current
    second = bench.version("v2").deploy().current
    bench.rollback()
    releases = bench.site_root / "releases"
    lines = [(first, "v1"), (second, "v2"), (first, "v1")]
    assert said.read_text().splitlines() == [f"{id} {releases / id} {text}" for id, text in lines]


def test_a_command_that_fails_after_the_switch_says_that_the_release_is_current(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.version("v2").deploy(after=["echo out of order; exit 3"], exits=17).shows("v2")
    bench.says("exit code 3", f"treeswap log {bench.current}")
    logs = bench.site.command_logs("current")
    assert "out of order" in logs[0].text


def test_labels_and_revisions_name_releases(bench: Bench) -> None:
    first = bench.version("v1").deploy(label="spring", revision="abc123").current
    assert (bench.site_root / "current/REVISION").read_text() == "abc123\n"
    bench.version("v2").deploy().switch("spring").shows("v1")
    bench.switch(first[:12], exits=2).says("names 2 releases")
    bench.switch("20010101000000", exits=2).says("no release")
    bench.switch("abc123")


def test_a_new_tree_joins_only_with_consent(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.tree("docs", {"f": "v1"})
    with pytest.raises(ConsentNeeded) as needed:
        bench.site.deploy(bench.request())
    assert needed.value.flags == ("--add",)
    assert not os.path.lexists(bench.world / "docs") and bench.current == first
    bench.deploy(add=True).shows("v1")
    assert bench.versions("apps") == [first]


def test_a_tree_joins_alone_and_the_others_are_kept(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.tree("docs", {"f": "v1"}).deploy("docs", add=True).shows("v1")
    assert bench.outcome is not None
    assert dict(bench.outcome.trees) == {"apps": "kept", "conf": "kept", "media": "kept", "docs": "new"}


def test_what_find_and_cmp_say_of_source_and_public_path(bench: Bench) -> None:
    bench.tree("apps", {"a": "1", "b/c": "2", "empty": None, b"n\xff\n".decode(errors="surrogateescape"): "x"})
    source = bench.work / "apps"
    (source / "dangling").symlink_to("nowhere")
    (source / "a").chmod(0o4711)
    bench.deploy()

    def told(root: Path) -> bytes:
        return subprocess.run(
            ["find", "-L", ".", "-printf", r"%P %m %s %T@\0"], cwd=root, check=True, capture_output=True
        ).stdout

    assert sorted(told(source).split(b"\0")) == sorted(told(bench.world / "apps").split(b"\0"))
    subprocess.run(["diff", "-r", "--no-dereference", source, bench.slot("apps")], check=True)
