"""A file of treeswap's own that is damaged is named, nothing is guessed from it, and the public paths serve on."""

from __future__ import annotations

import json
import os
import re

import pytest
from damaging import file_of, flip

from bench import Bench, snapshot
from treeswap.envelope import seal, unseal
from treeswap.errors import Damaged, NewerFormat


@pytest.fixture
def two(bench: Bench) -> Bench:
    return bench.version("v1").deploy().version("v2").deploy()


KINDS = ["current's record", "site.json", "journal", "manifest"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_damage_is_named_and_nothing_is_switched(two: Bench, kind: str, how: str) -> None:
    file = file_of(two, kind)
    good = file.read_bytes()
    if how == "flipped":
        flip(file)
    elif how == "cut":
        lines = good.splitlines(keepends=True)
        file.write_bytes(lines[0][:-9] + b"\n" + b"".join(lines[1:]))
    elif kind != "journal":
        file.write_bytes(b"")
    else:
        file.write_bytes(b"\n" + good)
    before = snapshot(two.root, but=("site/.treeswap/*.lock", "site/.treeswap/cache*"))
    with pytest.raises(Damaged) as told:
        two.version("v3")
        two.site.deploy(two.request())
    assert str(file) in told.value.message and told.value.hint
    if kind == "journal":
        assert "line 1 of" in told.value.message
    two.version("v2").shows("v2")
    after = snapshot(two.root, but=("site/.treeswap/*.lock", "site/.treeswap/cache*"))
    assert [line for line in after.splitlines() if "/work" not in line] == [
        line for line in before.splitlines() if "/work" not in line
    ]
    file.write_bytes(good)
    two.version("v3").deploy().shows("v3")


def test_a_torn_last_line_of_the_journal_is_no_damage(two: Bench) -> None:
    journal = two.site_root / ".treeswap/journal.jsonl"
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in (1, len(last) // 2, len(last) - 1):
        journal.write_bytes(whole + last[:cut])
        assert two.site.status().state == "rest"
        two.version(f"v{cut}").deploy().shows(f"v{cut}")
        for line in journal.read_bytes().splitlines():
            unseal(line, "a line")


def test_a_last_line_of_zeros_is_no_damage(two: Bench) -> None:
    """What a power cut makes of a file that was being appended to."""
    journal = two.site_root / ".treeswap/journal.jsonl"
    with journal.open("ab") as file:
        file.write(bytes(100))
    assert two.site.status().state == "rest"
    two.version("v3").deploy().shows("v3").rests()


def test_a_torn_outcome_leaves_the_intent_and_the_link_decides(two: Bench) -> None:
    journal = two.site_root / ".treeswap/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["event"] == "outcome"
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    status = two.site.status()
    assert status.state == "interrupted" and status.current == two.ids[-1]
    assert status.interrupted is not None and "had happened" in status.interrupted
    assert status.rollback_to == two.ids[0]
    two.rollback().shows("v1").rests()


@pytest.mark.parametrize("kind", ["record", "site.json"])
def test_a_newer_format_is_refused(two: Bench, kind: str) -> None:
    file = file_of(two, kind)
    value = unseal(file.read_bytes(), "it")
    value["format"] = 2
    file.write_bytes(seal(value))
    with pytest.raises(NewerFormat, match=re.escape(str(file))):
        two.site.deploy(two.request())
    assert two.current == two.ids[-1] and (two.world / "apps/f").read_text() == "v2"


@pytest.mark.parametrize("kind", ["current's record", "site.json"])
def test_sealed_nonsense_is_damage(two: Bench, kind: str) -> None:
    file = file_of(two, kind)
    file.write_bytes(seal({"format": 1, "id": 3}))
    with pytest.raises(Damaged, match=re.escape(str(file))):
        two.site.deploy(two.request())


def test_verify_names_everything_that_is_damaged(two: Bench) -> None:
    flip(file_of(two, "record"))
    flip(file_of(two, "manifest"))
    (two.slot("conf") / "f").write_text("xx")
    (two.slot("media") / "sub/g").unlink()
    (two.slot("media") / "added").touch()
    problems = {(p.tree, p.kind, p.path) for p in two.site.verify().problems}
    assert (None, "damaged", None) in problems
    assert ("apps", "damaged", None) in problems
    assert {("conf", "changed", "f"), ("media", "missing", "sub/g"), ("media", "added", "added")} <= problems


def test_a_release_without_its_link_is_found(two: Bench) -> None:
    link = two.site_root / "releases" / two.current / "conf"
    text = os.readlink(link)
    link.unlink()
    assert [(p.tree, p.kind) for p in two.site.verify().problems] == [("conf", "missing")]
    link.symlink_to(text.replace("conf", "apps"))
    assert [(p.tree, p.kind) for p in two.site.verify().problems] == [("conf", "changed")]


def test_a_deploy_anew_mends_a_damaged_manifest(two: Bench) -> None:
    flip(file_of(two, "manifest"))
    two.deploy(exits=12).says("damaged", "--force")
    two.deploy(force=True, leave_strays=True).shows("v2")
    assert not [p for p in two.site.verify("current").problems if p.tree == "apps"]


def test_a_switch_by_hand_is_noticed(two: Bench) -> None:
    v1, v2 = two.ids
    new = two.site_root / "new"
    new.symlink_to(f"releases/{v1}")
    new.rename(two.site_root / "current")
    two.shows("v1")
    status = two.site.status()
    assert (status.state, status.current, status.previous) == ("rest", v1, v2)
    two.version("v3").deploy().shows("v3").notes(f"noted that current was moved to {v1} by hand")
    assert ("switched by hand", v1) in [(entry.what, entry.release) for entry in two.site.history()]
    # A switch by hand marks nothing bad: v2 is still the newest earlier release.
    two.rollback().shows("v2").rests()


@pytest.mark.parametrize("text", ["10", "/somewhere/else", "releases/", "releases/../20260101000000", "trees/apps/x"])
def test_a_link_that_is_none_of_ours_is_named(two: Bench, text: str) -> None:
    current = two.site_root / "current"
    current.unlink()
    current.symlink_to(text)
    for act in (lambda: two.site.status(), lambda: two.site.rollback(), lambda: two.site.deploy(two.request())):
        with pytest.raises(Damaged, match="releases/ID"):
            act()
    assert os.readlink(current) == text


def test_a_directory_in_the_place_of_current_is_named(two: Bench) -> None:
    (two.site_root / "current").unlink()
    (two.site_root / "current").mkdir()
    with pytest.raises(Damaged, match="not a symlink"):
        two.site.status()


def test_current_without_a_record_is_said_with_the_way_out(two: Bench) -> None:
    v1, v2 = two.ids
    (two.site_root / f".treeswap/records/{v2}.json").unlink()
    two.deploy(exits=12).says(v2, "no record", "treeswap switch")
    two.switch(v1).shows("v1")


def test_a_version_that_is_gone_is_not_switched_to(two: Bench) -> None:
    import shutil

    shutil.rmtree(two.slot("apps", two.ids[0]))
    two.rollback(exits=12).says("missing", "apps").shows("v2")
    assert ("apps", "missing") in [(p.tree, p.kind) for p in two.site.verify().problems]
