"""What only looks: status, releases, diff, verify, check."""

from __future__ import annotations

import os
import subprocess

from bench import Bench, snapshot
from treeswap.site import Pair


def test_looking_changes_nothing(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").deploy()
    before = snapshot(bench.root)
    site = bench.site
    site.status()
    site.releases()
    site.history()
    site.diff()
    site.verify()
    site.check(bench.request())
    site.command_logs("current")
    for plan in (site.plan_rollback, site.plan_unadopt, site.plan_prune, site.plan_recover):
        plan()
    site.plan_switch(bench.ids[0])
    site.plan(bench.request())
    site.plan_stage(bench.request())
    assert snapshot(bench.root) == before


def test_status(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    status = bench.site.status()
    assert (status.site, status.name, status.state) == (bench.site_root, "site", "rest")
    assert (status.current, status.previous, status.rollback_to) == (first, None, None)
    second = bench.version("v2").deploy().current
    status = bench.site.status()
    assert (status.current, status.previous, status.rollback_to) == (second, first, first)
    assert {name: (tree.path, tree.ok) for name, tree in status.trees.items()} == {
        name: (bench.world / name, True) for name in bench.paths
    }


def test_status_of_public_paths_that_lead_elsewhere(bench: Bench) -> None:
    bench.version("v1").deploy()
    for name in bench.paths:
        (bench.world / name).unlink()
    (bench.world / "conf").symlink_to("/etc")
    (bench.world / "media").mkdir()
    trees = bench.site.status().trees
    assert [tree.ok for tree in trees.values()] == [False] * 3
    told = [tree.problem or "" for tree in trees.values()]
    assert "missing" in told[0] and "/etc" in told[1] and "plain directory" in told[2]


def test_releases_newest_first_with_why_each_is_kept(bench: Bench) -> None:
    ids = [bench.version(f"v{number}").deploy().current for number in range(3)]
    rows = bench.site.releases()
    assert [row.record.id for row in rows] == ids[::-1]
    assert [row.state for row in rows] == ["current", "previous", "ready"]
    assert rows[0].kept_because == "current" and all(row.kept_because for row in rows)
    assert rows[0].dirs["apps"] == bench.slot("apps")
    version = rows[0].record.versions["apps"]
    assert (version.files, version.bytes) == (4, len("v2v2co"))


def test_diff_names_what_was_added_changed_and_removed(bench: Bench) -> None:
    bench.tree("apps", {"same": "x", "changed": "1", "gone/f": "x"}).tree("conf", {"f": "x"}).deploy()
    bench.tree("apps", {"same": "x", "changed": "2", "new/f": "x"})
    (bench.work / "apps/same").chmod(0o600)
    bench.deploy()
    trees = bench.site.diff().trees
    assert list(trees) == ["apps"]
    apps = trees["apps"]
    assert (apps.added, apps.changed, apps.removed) == (("new", "new/f"), ("changed", "same"), ("gone", "gone/f"))
    back = bench.site.diff("current", "previous").trees["apps"]
    assert (back.added, back.removed) == (apps.removed, apps.added)


def test_verify_reads_each_version_once(bench: Bench) -> None:
    bench.version("v1").deploy()
    for text in ("v2", "v3"):
        bench.version(text, "apps").deploy()
    verified = bench.site.verify()
    assert (verified.versions, verified.files, verified.problems) == (5, 20, ())
    assert bench.site.verify("current").versions == 3


def test_verify_finds_what_an_oracle_would(bench: Bench) -> None:
    bench.version("v1").deploy()
    slot = bench.slot("apps")
    sums = subprocess.run("find . -type f -exec sha256sum {} +", shell=True, cwd=slot, capture_output=True, check=True)
    old = (slot / "f").stat()
    (slot / "f").write_text("V1")
    os.utime(slot / "f", ns=(old.st_atime_ns, old.st_mtime_ns))
    (slot / "other").chmod(0o600)
    (slot / "sub/g").unlink()
    (slot / "sub/g").symlink_to("constant")
    again = subprocess.run(["sha256sum", "-c", "--quiet"], input=sums.stdout, cwd=slot, capture_output=True)
    assert again.returncode != 0
    found = {problem.path: problem.detail for problem in bench.site.verify().problems}
    assert set(found) >= {"f", "other", "sub/g"} and "content" in found["f"] and "mode" in found["other"]


def test_damage_is_a_mark_on_the_version_until_it_is_mended(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").deploy()
    file = bench.slot("apps", bench.ids[0]) / "f"
    status, text = file.stat(), file.read_text()
    file.write_text("xx")
    bench.site.verify()
    bench.rollback(exits=12)
    file.write_text(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bench.site.verify().problems == ()
    bench.rollback().shows("v1")


def test_an_edit_of_the_same_size_with_its_old_time_is_noticed(bench: Bench) -> None:
    bench.version("v1").deploy()
    file = bench.work / "apps/f"
    status = file.stat()
    file.write_text("v2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    bench.deploy()
    assert (bench.world / "apps/f").read_text() == "v2"
    assert int((bench.world / "apps/f").stat().st_mtime) != int(status.st_mtime), "an ETag must not repeat"


def test_check_finds_what_would_stop_the_next_change(bench: Bench) -> None:
    def bad(source: str = "apps") -> dict[str, str]:
        request = bench.site.request_for([Pair(bench.work / source, bench.world / "apps")])
        return {f.what: f.detail for f in bench.site.check(request) if f.ok is False}

    bench.version("v1").deploy().version("v2")
    assert bad() == {}
    (bench.world / "apps/stray").touch()
    assert "apps/stray" in bad()["strays"]
    (bench.world / "apps/stray").unlink()
    assert "does not exist" in bad("nowhere")["next deploy"]
    bench.site_root.chmod(0o757)
    assert "writable by everybody" in bad()["place"]
    bench.site_root.chmod(0o755)
    bench.site.hold("audit")
    assert "audit" in bad()["hold"]


def test_the_story_of_a_site_is_told_in_order(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    second = bench.version("v2").deploy().current
    third = bench.version("v3").deploy().current
    bench.rollback()
    told = [(entry.what, entry.release) for entry in bench.site.history()]
    assert told == [
        ("deploy", first),
        (f"deploy from {first}", second),
        (f"deploy from {second}", third),
        ("removed", first),
        (f"rollback from {third}", second),
    ]
