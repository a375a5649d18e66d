"""Rollback: where it goes, what it marks, and the changed set of trees."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bench import Bench, snapshot
from treeswap import envelope, journal
from treeswap.errors import NothingToRollBackTo
from treeswap.outcomes import Event
from treeswap.records import Records
from treeswap.release import ReleaseId


def deployed(bench: Bench, *texts: str) -> list[str]:
    """One release after the other, with everything saying `text`; gives their ids."""
    return [bench.version(text).deploy().current for text in texts]


def test_back_and_back_again_and_no_further(bench: Bench) -> None:
    v1, v2, v3 = deployed(bench, "v1", "v2", "v3")
    bench.rollback().shows("v2")
    assert bench.current == v2
    assert bench.states() == {v1: "ready", v2: "current", v3: "bad"}
    bench.rollback().shows("v1")
    assert bench.states() == {v1: "current", v2: "bad", v3: "bad"}
    bench.rollback(exits=15).shows("v1").says("no earlier good release")
    bench.rests()


def test_a_single_release_has_nothing_behind_it(bench: Bench) -> None:
    bench.version("v1").deploy().rollback(exits=15)
    assert isinstance(bench.error, NothingToRollBackTo)


def test_bad_releases_are_passed_over(bench: Bench) -> None:
    """A good, B bad, C bad: a rollback from C goes to A."""
    a, b = deployed(bench, "A", "B")
    bench.rollback().shows("A")
    c = bench.version("C").deploy().current
    bench.rollback().shows("A")
    assert bench.states() == {a: "current", b: "bad", c: "bad"}


def test_deploying_after_a_rollback_goes_back_to_the_good_one(bench: Bench) -> None:
    v1, v2, v3 = deployed(bench, "v1", "v2", "v3")
    bench.rollback().shows("v2")
    v4 = bench.version("v4").deploy().current
    assert bench.site.status().rollback_to == v2
    bench.rollback().shows("v2").rollback().shows("v1")
    assert bench.states() == {v1: "current", v2: "bad", v3: "bad", v4: "bad"}


def test_to_a_named_release_marks_everything_between(bench: Bench) -> None:
    v1, v2, v3, v4 = deployed(bench, "v1", "v2", "v3", "v4")
    bench.rollback(v2).shows("v2")
    assert bench.states() == {v1: "ready", v2: "current", v3: "bad", v4: "bad"}


def test_to_a_later_or_the_same_release_is_no_rollback(bench: Bench) -> None:
    _, v2 = deployed(bench, "v1", "v2")
    bench.rollback(v2, exits=2)
    bench.rollback().rollback(v2, exits=2).says(f"treeswap switch {v2}").shows("v1")


def test_switching_to_a_bad_release_clears_its_mark(bench: Bench) -> None:
    v1, v2, v3 = deployed(bench, "v1", "v2", "v3")
    bench.rollback()
    bench.switch(v3).shows("v3")
    assert bench.states() == {v1: "ready", v2: "previous", v3: "current"}
    bench.rollback().shows("v2")


def test_a_release_that_repeats_an_older_one_counts_as_that_one(bench: Bench) -> None:
    v1, v2 = deployed(bench, "v1", "v2")
    again = bench.deploy(force=True).current
    # What is shown would not change by going from the repetition to what it repeats.
    bench.rollback().shows("v1")
    assert bench.states() == {v1: "current", v2: "bad", again: "bad"}
    bench.switch(again).shows("v2")
    assert bench.states()[v2] == "ready", "the mark belongs to what a repetition stands for"


def test_a_staged_release_that_was_never_served_is_no_target(bench: Bench) -> None:
    deployed(bench, "v1")
    bench.version("staged").stage()
    deployed(bench, "v3")
    bench.rollback().shows("v1")


def test_ids_only_grow_when_the_clock_is_set_back(bench: Bench) -> None:
    v1 = deployed(bench, "v1")[0]
    bench.clock.forward(days=-400)
    v2, v3 = deployed(bench, "v2", "v3")
    assert [v1, v2, v3] == sorted({v1, v2, v3})
    assert int(v2) == int(v1) + 1
    bench.rollback().shows("v2").rollback().shows("v1")


def test_ids_are_not_used_again_when_the_newest_release_is_gone(bench: Bench) -> None:
    bench.clock.forward(days=400)
    v1, v2 = deployed(bench, "v1", "v2")
    bench.rollback().clock.forward(days=-400)
    bench.prune(v2, grace=0.0)
    assert bench.ids == [v1]
    v3 = deployed(bench, "v3")[0]
    assert v3 > v2


def test_order_is_no_matter_of_times_of_files(bench: Bench) -> None:
    """Capistrano's rollback went by mtime, and to the wrong release."""
    v1, v2, v3 = deployed(bench, "v1", "v2", "v3")
    for age, id in enumerate((v2, v3, v1)):
        for path in (f"releases/{id}", f".treeswap/records/{id}.json", f"trees/apps/{id}"):
            os.utime(bench.site_root / path, (1000 - age, 1000 - age))
    status = bench.site.status()
    assert (status.previous, status.rollback_to) == (v2, v2)
    bench.rollback().shows("v2").rollback().shows("v1")


def test_previous_is_what_was_served_before(bench: Bench) -> None:
    v1, _, v3 = deployed(bench, "v1", "v2", "v3")
    bench.switch(v1)
    assert bench.site.status().previous == v3
    assert bench.site.find_release("previous").id == v3


def test_a_rollback_is_an_entry_and_no_erasure(bench: Bench) -> None:
    v1, v2 = deployed(bench, "v1", "v2")
    bench.rollback()
    told = [(entry.what, entry.release) for entry in bench.site.history()]
    assert told == [("deploy", v1), (f"deploy from {v1}", v2), (f"rollback from {v2}", v1)]


def test_the_plan_of_a_rollback_touches_nothing(bench: Bench) -> None:
    v1, v2 = deployed(bench, "v1", "v2")
    before = snapshot(bench.root)
    plan = bench.site.plan_rollback()
    assert snapshot(bench.root) == before
    assert any(v1 in step and v2 in step for step in plan.steps) and plan.steps[-1] == f"mark bad: {v2}"


def test_back_across_a_tree_that_joined_keeps_that_tree(bench: Bench) -> None:
    v1 = deployed(bench, "v1")[0]
    bench.tree("docs", {"d": "docs"}).deploy(add=True)
    bench.tree("apps", {"f": "v3"}).deploy()
    bench.tree("apps", {"f": "v4"}).deploy()
    bench.rollback(v1)
    assert bench.current > v1, "a release without the tree cannot be served; a new one is sealed"
    bench.shows(docs={"d": "docs"}, apps={"f": "v1", "sub/g": "v1", "sub/constant": "c", "other": "o"})
    bench.rests()
    bench.rollback(exits=15)


def test_back_across_a_tree_that_joined_with_nothing_else_is_nothing(bench: Bench) -> None:
    deployed(bench, "v1")
    bench.tree("docs", {"d": "docs"}).deploy(add=True)
    bench.rollback(exits=15).shows(docs={"d": "docs"})


def test_back_across_a_tree_that_left(bench: Bench) -> None:
    deployed(bench, "v1", "v2")
    bench.unadopt("media")
    del bench.paths["media"]
    assert not (bench.world / "media").is_symlink()
    bench.version("v3", "apps", "conf").deploy().shows("v3")
    bench.rollback().shows("v2").rollback().shows("v1")
    assert (bench.world / "media/f").read_text() == "v2"
    bench.rests()


def test_a_damaged_release_is_no_target_until_it_is_mended(bench: Bench) -> None:
    deployed(bench, "v1", "v2")
    file = bench.slot("apps", bench.ids[0]) / "f"
    file.write_text("xx")
    assert {problem.path for problem in bench.site.verify().problems} == {"f"}
    bench.rollback(exits=12).says("found damaged", "apps").shows("v2")
    bench.rollback(force=True)
    assert bench.current == bench.ids[0]


@pytest.mark.parametrize("why", ["rollback", "switch"])
def test_the_moment_of_the_switch_is_told(bench: Bench, why: str) -> None:
    v1, _ = deployed(bench, "v1", "v2")
    steps: list[str] = []

    def listen(event: Event) -> None:
        steps.append(f"{event.step} {bench.current == v1}")

    site = type(bench.site).open(bench.site_root, listener=listen)
    site.rollback() if why == "rollback" else site.switch(v1)
    assert steps[-2:] == ["switching False", "switched True"]


def test_a_label_names_the_newest_of_those_that_stand_for_the_same_release(bench: Bench) -> None:
    v1 = bench.version("v1").deploy(label="one", revision="abc").current
    v2 = bench.version("v2").deploy(label="two").current
    bench.tree("docs", {"d": "docs"}).deploy(add=True)
    repeated = bench.rollback(v1).current
    assert repeated > v1 and bench.site.find_release("one").id == repeated == bench.site.find_release("abc").id
    bench.switch(v2).switch("one").shows(
        docs={"d": "docs"}, conf={"f": "v1", "sub/g": "v1", "sub/constant": "c", "other": "o"}
    )
    bench.version("v3").deploy(label="one")
    bench.switch("one", exits=2).says("names 3 releases")


def test_a_label_that_is_also_the_beginning_of_an_id_names_nothing(bench: Bench) -> None:
    v1 = bench.version("v1").deploy().current
    bench.deploy(force=True, label=v1[:8])
    bench.switch(v1[:8], exits=2).says("names 2 releases")


def test_a_journal_that_cannot_be_read_after_the_switch_takes_nothing_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1, _ = deployed(bench, "v1", "v2")
    contents = envelope.contents

    def failing(path: Path) -> bytes:
        if bench.current == v1:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return contents(path)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "contents", failing)
        bench.rollback()
    bench.shows("v1").rests()


def test_records_that_cannot_be_listed_after_the_switch_take_nothing_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1, _ = deployed(bench, "v1", "v2")
    ids = Records.ids

    def failing_once(records: Records) -> list[ReleaseId]:
        if bench.current != v1:
            return ids(records)
        monkeypatch.undo()
        raise OSError(errno.EIO, os.strerror(errno.EIO), "records")

    monkeypatch.setattr(Records, "ids", failing_once)
    bench.rollback().shows("v1")
    assert Records.ids is ids, "nobody listed them"
