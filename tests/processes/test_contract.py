"""What every process manager promises, tried on each: a small server that is started, crashes, is stopped while it
answers, does not want to stop, and is there again after a boot."""

from __future__ import annotations

import pytest

from treeswap.process import Process

from .conftest import FOR_OTHERS, made
from .worlds import ONE, TWO, World

WEB = Process("web", "serve --on {socket}", instances=2)
BROKEN = Process("broken", "fail")


def test_what_is_started_runs_with_all_that_it_starts_and_a_second_start_does_nothing(world: World) -> None:
    world.install(WEB)
    world.install(WEB)
    unit = world.unit()
    assert world.running() == set()
    world.start(unit)
    pids = world.pids(unit)
    assert world.running() == {unit}
    assert pids <= world.call("pids", unit)

    world.start(unit)

    assert world.pids(unit) == pids
    assert world.running() == {unit}
    assert int(world.ask(unit, "user")) == world.owner


@pytest.mark.parametrize("code", [3, 0])
def test_what_ends_is_started_again(world: World, code: int) -> None:
    world.install(WEB)
    unit = world.unit()
    world.start(unit)
    before = world.pids(unit)

    world.ask(unit, f"end {code}")
    world.until(lambda: world.pids(unit) - before)

    assert world.running() == {unit}
    assert world.pids(unit).isdisjoint(before)


def test_what_is_stopped_answers_first_who_has_asked_and_leaves_nothing(world: World) -> None:
    world.install(WEB)
    unit = world.unit()
    world.start(unit)
    pids = world.pids(unit)

    with world.asking(unit, "slow 1") as line, line.makefile() as answer:
        assert answer.read(5) == "wait "
        world.stop(unit)
        assert answer.read() == "done"

    assert world.alive(pids) == set()
    assert world.running() == set()
    assert world.call("pids", unit) == frozenset()


def test_what_does_not_stop_is_killed_with_all_that_it_started(world: World) -> None:
    world.install(WEB)
    unit = world.unit()
    world.start(unit)
    pids = world.pids(unit)
    assert world.ask(unit, "deaf") == "deaf"

    world.stop(unit, 0.5)

    assert world.alive(pids) == set()
    assert world.running() == set()


def test_what_takes_itself_away_can_be_there_again(world: World) -> None:
    world.call("remove")
    world.install(WEB)
    unit = world.unit()
    world.start(unit)
    world.call("at_boot", [unit])
    world.stop(unit)

    world.call("remove")
    world.call("remove")

    assert world.running() == set()
    world.install(WEB)
    world.start(unit)
    assert world.running() == {unit}


def test_what_does_not_run_is_stopped_already_and_can_be_started_after(world: World) -> None:
    world.install(WEB)
    unit = world.unit()
    world.stop(unit)
    world.start(unit)
    world.stop(unit)
    world.stop(unit)
    world.start(unit)
    assert world.running() == {unit}


def test_what_cannot_run_is_tried_again_until_it_is_stopped_and_its_last_words_are_kept(world: World) -> None:
    world.install(BROKEN)
    unit = world.unit(process="broken")
    world.call("start", unit)
    world.until(lambda: sum("cannot go on" in line for line in world.log(unit)) > 1)
    assert world.running() == {unit}

    world.stop(unit)

    assert world.running() == set()
    said = world.log(unit)
    assert world.log(unit) == said
    assert any("broken 1 of 20261122180101 starts" in line for line in said)
    assert world.log(unit, 2) == said[-2:]


def test_releases_and_instances_are_apart(world: World) -> None:
    world.install(WEB)
    units = {world.unit(release, instance=number) for release in (ONE, TWO) for number in (1, 2)}
    for unit in units:
        world.start(unit)
    assert world.running() == units
    families = [world.call("pids", unit) for unit in units]
    assert len(frozenset().union(*families)) == sum(map(len, families))

    gone = world.unit(ONE, instance=2)
    world.stop(gone)

    assert world.running() == units - {gone}
    for unit in units - {gone}:
        assert world.pids(unit)
    assert any("ends" in line for line in world.log(gone))


def test_calls_of_others_at_the_same_time_get_what_they_ask(world: World) -> None:
    units = {world.unit(release, instance=number) for release in (ONE, TWO) for number in (1, 2)}
    for waits in [world.begin("install", [WEB]) for _ in units]:
        waits()
    for waits in [world.begin("start", unit) for unit in units]:
        waits()
    assert world.running() == units
    for waits in [world.begin("stop", unit, 5.0) for unit in units]:
        waits()
    assert world.running() == set()


def test_just_what_was_named_starts_after_a_boot(world: World) -> None:
    world.install(WEB)
    before, current, draining = world.unit(ONE), world.unit(TWO), world.unit(ONE, instance=2)
    world.start(before)
    world.call("at_boot", [before])
    world.start(current)
    world.start(draining)
    world.call("at_boot", [current])

    world.reboot()

    world.until(lambda: world.pids(current))
    assert world.running() == {current}
    world.call("at_boot", [])
    assert world.running() == {current}

    world.reboot()

    assert world.running() == set()


@pytest.mark.parametrize("kind", FOR_OTHERS)
def test_what_root_starts_runs_as_the_owner_of_the_site(kind: str, request: pytest.FixtureRequest) -> None:
    with made(request, kind) as world:
        world.install(WEB)
        world.start(world.unit())
        assert int(world.ask(world.unit(), "user")) == world.owner != 0


def test_what_is_removed_starts_at_no_boot_and_can_be_installed_again(world: World) -> None:
    world.call("remove")
    world.install(WEB)
    unit = world.unit()
    world.start(unit)
    world.call("at_boot", [unit])
    world.stop(unit)

    world.call("remove")
    world.call("remove")

    assert world.running() == set()
    assert world.left() == []
    world.install(WEB)
    world.start(unit)
    assert world.running() == {unit}
