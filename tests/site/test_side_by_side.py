"""Commands that run at the same time and hold no lock against each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import Bench
from treeswap import adopt as moves
from treeswap import durable, stage
from treeswap.adopt import Move
from treeswap.errors import NoSuchRelease, NotASite
from treeswap.outcomes import Event
from treeswap.records import Records
from treeswap.release import ReleaseId, Version
from treeswap.site.core import Core
from treeswap.sitefile import SiteFile, find_site


def at_first(step: str, act: Callable[[], object]) -> Callable[[Event], None]:
    """A listener that does this when it hears of a step for the first time."""
    acts = [act]

    def listen(event: Event) -> None:
        if event.step == step and acts:
            acts.pop()()

    return listen


def test_what_is_removed_while_it_is_verified_is_no_damage(bench: Bench) -> None:
    for number in range(4):
        bench.version(f"v{number}").deploy()
    site = bench.site
    site.listener = at_first("verify", lambda: bench.prune(keep=1, grace=0.0))
    verified = site.verify()
    assert len(bench.ids) == 2 and verified.problems == ()
    assert not bench.site.ground.history().damaged
    bench.rests()


def test_what_is_missing_of_a_release_that_nobody_removed_is_damage(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").deploy()
    lost = bench.slot("apps", first) / "f"
    site = bench.site
    site.listener = at_first("verify", lost.unlink)
    assert [(problem.tree, problem.version, problem.kind) for problem in site.verify().problems] == [
        ("apps", first, "missing")
    ]


class Died(BaseException):
    """The end of a process, between two of its calls."""


def test_what_is_being_adopted_is_no_damage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.version("v1").deploy("apps")
    bench.live("conf", {"f": "v1"})

    def die(move: Move) -> float:
        raise Died

    monkeypatch.setattr(moves, "carry_out", die)
    with pytest.raises(Died):
        bench.site.adopt(bench.request("conf", adopt=True, add=True))
    monkeypatch.undo()
    assert bench.site.status().interrupted is not None
    assert bench.site.verify().problems == ()
    bench.recover()
    assert bench.site.verify().problems == ()
    bench.rests()


def test_what_a_failed_first_deploy_took_away_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Core.make
    made = []

    def made_and_lost(self: Core, site: SiteFile, new: list[Path]) -> None:
        make(self, site, new)
        made.append(True)
        if len(made) == 1:
            self.layout.trees.rmdir()

    monkeypatch.setattr(Core, "make", made_and_lost)
    bench.version("v1").deploy().shows("v1").rests()


def test_site_goes_while_another_first_deploy_makes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Core.make
    lost = [FileNotFoundError()]

    def made_half(self: Core, site: SiteFile, new: list[Path]) -> None:
        make(self, site, new)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(Core, "make", made_half)
    bench.version("v1").deploy().shows("v1").rests()


def test_who_made_site_and_came_too_late_leaves_it_to_who_has_the_lock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Core.make
    locks = []

    def overtaken(self: Core, site: SiteFile, new: list[Path]) -> None:
        make(self, site, new)
        locks.append(self.alone("copy"))

    monkeypatch.setattr(Core, "make", overtaken)
    bench.version("v1").deploy(exits=11)
    assert bench.site.layout.trees.is_dir() and bench.site.layout.deploy_lock.exists()
    for lock in locks:
        lock.release()
    monkeypatch.undo()
    bench.deploy().shows("v1").rests()


@pytest.mark.parametrize("named", ["site_json", "record"])
def test_what_appears_while_it_is_looked_for_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Between an opening that finds nothing and any further look, another may have written the file."""
    current = bench.version("v1").deploy().current
    layout = bench.site.layout
    file = layout.site_json if named == "site_json" else layout.record(current)
    hidden = file.with_name("hidden")
    opened, core = os.open, bench.site
    file.rename(hidden)

    def too_early(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        try:
            return opened(path, flags, *rest, **more)
        except FileNotFoundError:
            if path == str(file) and hidden.exists():
                hidden.rename(file)
            raise

    monkeypatch.setattr(os, "open", too_early)
    if named == "site_json":
        assert bench.site.status().current == current
    else:
        assert core.ground.records.find(ReleaseId(current)) is not None
    assert file.exists()


def test_what_appears_and_goes_again_while_it_is_looked_for_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the site.json of another first copy that fails."""
    layout = bench.version("v1").deploy().site.layout
    layout.site_json.unlink()
    lexists, was_there = os.path.lexists, iter([True])
    monkeypatch.setattr(
        os.path, "lexists", lambda path: lexists(path) or (path == layout.site_json and next(was_there, False))
    )
    assert find_site(layout) is None
    assert not next(was_there, False)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_current_is_found_while_another_release_is_switched_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Looking takes no lock: `current` may move, and what was current may go, before or after records are read."""
    first = bench.version("v1").deploy().current
    bench.version("v2")
    readable = Records.readable
    asked = {"find": iter([True]), "status": iter([True])}

    def overtaken(self: Records, *, by: str) -> Any:
        if moment == "after":
            found = readable(self)
        if next(asked[by], False):
            monkeypatch.setattr(Records, "readable", readable)
            bench.deploy(force=True).deploy(force=True).prune(keep=1, grace=0.0)
            monkeypatch.setattr(Records, "readable", lambda self: overtaken(self, by=by))
        return found if moment == "after" else readable(self)

    site = bench.site
    monkeypatch.setattr(Records, "readable", lambda self: overtaken(self, by="find"))
    found = site.find_release("current").id
    assert found == bench.current != first

    monkeypatch.setattr(Records, "readable", lambda self: overtaken(self, by="status"))
    status = site.status()
    assert status.current == bench.current != found
    assert (status.interrupted, status.state) == (None, "rest")


def test_a_current_release_that_was_removed_meanwhile_was_not_current_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.version("v1").deploy().current
    find, late = Records.find, iter([True])

    def overtaken(self: Records, id: ReleaseId) -> Any:
        if next(late, False):
            bench.version("v2").deploy().version("v3").deploy().prune(keep=1, grace=0.0)
            assert first not in bench.ids
        return find(self, id)

    site = bench.site
    monkeypatch.setattr(Records, "find", overtaken)
    record = site.current_record()
    assert record is not None and record.id == bench.current


def test_a_release_that_is_removed_while_it_is_compared_is_no_damage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").deploy()
    manifest, late = Records.manifest, iter([True])

    def overtaken(self: Records, version: Version) -> Any:
        if next(late, False):
            bench.version("v3").deploy().prune(keep=1, grace=0.0)
            assert first not in bench.ids
        return manifest(self, version)

    site = bench.site
    monkeypatch.setattr(Records, "manifest", overtaken)
    with pytest.raises(NoSuchRelease, match=f"{first} was removed"):
        site.diff()


def test_a_link_to_nowhere_in_the_place_of_the_site_file_is_not_taken_for_no_site(bench: Bench) -> None:
    bench.version("v1").deploy()
    file = bench.site.layout.site_json
    file.unlink()
    file.symlink_to("nowhere")
    with pytest.raises(NotASite, match="cannot be read"):
        bench.site.status()


def test_nobody_takes_a_lock_in_a_site_that_is_being_taken_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes in one step: a lock beside what is still being removed would let the next deploy begin in it."""
    remove = stage.remove
    seen = []

    def look(path: Path) -> None:
        seen.append((path.name, bench.site.layout.private.exists()))
        remove(path)

    monkeypatch.setattr(stage, "remove", look)
    bench.version("v1")
    site = bench.site
    site.listener = at_first("seal", fail)
    with pytest.raises(Died):
        site.deploy(bench.request())
    private = [there for name, there in seen if name.startswith("..treeswap.")]
    assert private == [False] and not bench.site_root.exists()


def test_what_is_left_of_a_site_that_was_being_taken_away_is_in_nobodys_way(bench: Bench) -> None:
    left = bench.site_root / durable.temporary_name(".treeswap")
    (left / "records").mkdir(parents=True)
    bench.version("v1").deploy().shows("v1").rests()
    assert not left.exists()


def fail() -> None:
    raise Died
