"""Each contender on a tiny input: what it deploys, keeps, goes back to and takes away; and a race among them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import ClassVar

import pytest

from benchmark import inputs
from benchmark.capistrano import Capistrano
from benchmark.contending import Contender
from benchmark.copying import COPYING, AtomicRsync, LinkDest, Linked, OnlyLinked, Treeswap
from benchmark.figures import BACK, SAME, STEPS
from benchmark.inputs import Input
from benchmark.launching import CommandFailed, Commands, Run, run
from benchmark.racing import Plan, disk, race
from benchmark.sameness import differences
from benchmark.versioning import VERSIONING


@pytest.fixture
def source(tmp_path: Path) -> Input:
    return inputs.tiny(tmp_path / "input")


def _plan(room: Path, rounds: int = 1) -> Plan:
    room.mkdir()
    return Plan(rounds, rounds, 1, room, lambda _: None)


def _unlike(contender: Contender, **more: dict[str, bytes]) -> list[str]:
    found: list[str] = []
    for tree, path in contender.source.trees.items():
        place = contender.rolled_back(tree) if more else contender.public(tree)
        instead = {file.partition("/")[2]: old for file, old in more.get("before", {}).items() if file.startswith(tree)}
        found += differences(path, place.resolve(), as_in_git=contender.as_in_git, instead=instead)
    return found


@pytest.mark.parametrize("kind", [*COPYING, *VERSIONING, Capistrano], ids=lambda kind: kind.__name__)
def test_what_a_contender_deploys_is_what_it_was_given(kind: type[Contender], source: Input, tmp_path: Path) -> None:
    why = kind.lacks()
    if why:
        if os.environ.get("CI") == "true" and "3.2.7" not in kind.name:
            pytest.fail(why)
        pytest.skip(why)
    contender = kind(tmp_path / "place", source)
    luck = random.Random(7)
    try:
        contender.ready()
        assert contender.deploy().peak > 1_000_000
        assert _unlike(contender) == []
        source.change_code()
        contender.ready()
        contender.deploy("code")
        before = source.change(10, luck)
        if not kind.only_links:
            assert len(_unlike(contender)) == 10
        contender.ready()
        contender.deploy()
        if not kind.only_links:
            assert _unlike(contender) == []
            done = contender.roll_back()
            if done is not None:
                assert _unlike(contender, before=before) == []
                assert len(_unlike(contender)) == (10 if isinstance(contender, Treeswap | Capistrano) else 0)
                contender.go_forward()
        contender.prune(2)
        contender.ready()
        contender.deploy()
        if not kind.only_links:
            assert _unlike(contender) == []
    finally:
        contender.leave()
    assert not (tmp_path / "place").exists()


class Forgetful(OnlyLinked):
    """Links only, and claims to have copied."""

    name = "forgetful"
    only_links = False


class Failing(LinkDest):
    """Does well twice."""

    name = "failing"

    def commands(self, only: str | None) -> Commands:
        return super().commands(only) if self.count < 3 else [["false"]]


class Observed(Treeswap):
    """Remembers of each deploy whether it found anything to do."""

    name = "observed"
    slow = True
    changed: ClassVar[list[bool]] = []

    def deploy(self, only: str | None = None) -> Run:
        done = super().deploy(only)
        self.changed.append(json.loads(done.told)["changed"])
        return done


class Lacking(LinkDest):
    name = "lacking"

    @classmethod
    def lacks(cls) -> str:
        return "it is not there"


def test_a_race_times_every_step_of_everybody(source: Input, tmp_path: Path) -> None:
    found = race(source, (Treeswap, LinkDest, Linked), _plan(tmp_path / "race", 2))
    assert found.absent == {}
    assert found.unequal == []
    rounds = dict.fromkeys(STEPS, 2) | {"first copy": 1}
    for name in ("treeswap", "rsync", "cp -al, rsync"):
        for step in STEPS:
            timed = [timing for timing in found.timings if (timing.contender, timing.step) == (name, step)]
            assert len(timed) == rounds[step], (name, step)
    assert found.switched("treeswap") is not None
    assert found.switched("rsync") is None
    assert found.seconds("treeswap", BACK) is not None
    assert set(found.disk) == {"treeswap", "rsync", "cp -al, rsync"}
    assert list((tmp_path / "race").iterdir()) == []


def test_slow_contenders_miss_rounds_and_are_at_the_same_step_in_the_others(source: Input, tmp_path: Path) -> None:
    (tmp_path / "race").mkdir()
    plan = Plan(3, 1, 1, tmp_path / "race", lambda _: None)
    Observed.changed.clear()
    found = race(source, (Observed, AtomicRsync, Linked), plan)
    assert found.absent == {}
    assert found.unequal == []
    assert [len([timing for timing in found.timings if (timing.contender, timing.step) == (name, SAME)])
            for name in ("observed", "atomic-rsync", "cp -al, rsync")] == [1, 1, 3]  # fmt: skip
    filled = 1 + 4 + 1  # a first copy, deploys until there are five releases, and one before the rounds
    assert Observed.changed[: filled + 3] == [True] * filled + [False, True, True]
    assert Observed.changed.count(False) == 1


def test_a_result_that_is_not_what_went_in_is_found(source: Input, tmp_path: Path) -> None:
    found = race(source, (Forgetful, LinkDest), _plan(tmp_path / "race"))
    assert {sentence.split(",")[0] for sentence in found.unequal} == {"forgetful"}
    assert any("ten files changed" in sentence for sentence in found.unequal)


def test_who_fails_or_is_not_there_is_named_and_the_others_go_on(source: Input, tmp_path: Path) -> None:
    kinds = (Failing, Lacking, LinkDest)
    found = race(source, kinds, _plan(tmp_path / "race"), left_out={"Capistrano": "left out"})
    assert found.contenders == ["failing", "lacking", "rsync", "Capistrano"]
    assert found.absent["failing"].startswith("failed: false")
    assert found.absent["lacking"] == "missing: it is not there"
    assert found.absent["Capistrano"] == "left out"
    assert found.seconds("rsync", BACK) is not None
    assert found.seconds("failing", BACK) is None


def test_disk_counts_each_inode_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    once = disk(tmp_path)
    os.link(tmp_path / "a", tmp_path / "b")
    assert disk(tmp_path) == once
    (tmp_path / "c").write_bytes(b"x" * 100_000)
    assert disk(tmp_path) >= once + 100_000


def test_a_command_that_fails_says_its_last_words() -> None:
    with pytest.raises(CommandFailed, match="ended with 3: so it is"):
        run([["sh", "-c", "echo so it is >&2; exit 3"], ["true"]])
    with pytest.raises(CommandFailed, match="127"):
        run([["/no/such/program"]])


def test_memory_is_that_of_the_command_and_its_children(tmp_path: Path) -> None:
    hungry = "x = bytearray(80_000_000); x[::4096] = x[::4096]"
    assert run([["true"]]).peak < 40_000_000
    assert run([["sh", "-c", f'python3 -c "{hungry}"; true']]).peak > 80_000_000
