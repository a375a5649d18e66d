"""Readers of three directories, while these are changed in one step, and in three with a pause between them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import switching
from benchmark.moving import LinkForced, LinkMoved, Mover, RemoveMove, Treeswap
from benchmark.switching import Watched, watch

_PAUSE = "sleep 0.1"


class AllAtOnce(Mover):
    """One link over another; the three directories are below it."""

    name = "all at once"

    def commands(self, number: int) -> list[list[str]]:
        line = f"ln -s {self.new(number)} {self.place}/next && mv -T {self.place}/next {self.public}/current"
        return [["sh", "-c", line]]

    def files(self) -> list[Path]:
        return [self.public / "current" / tree / "version" for tree in ("apps", "conf", "media")]


class OneAfterTheOther(LinkMoved):
    name = "one after the other"
    line = f"{LinkMoved.line}; {_PAUSE}"


class WithAHole(RemoveMove):
    name = "with a hole"
    line = f'rm -rf "$2/$tree"; {_PAUSE}; mv "$1/$tree" "$2/$tree"'


class Lacking(Mover):
    name = "lacking"

    @classmethod
    def lacks(cls) -> str:
        return "it is not there"


class Failing(Mover):
    name = "failing"

    def commands(self, number: int) -> list[list[str]]:
        return [["false"]]


@pytest.fixture
def looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    monkeypatch.setattr(switching, "MOVERS", (AllAtOnce, OneAfterTheOther, WithAHole, Lacking, Failing))
    return watch(tmp_path, 4, lambda name: name != "nobody", lambda _: None)


def test_what_readers_see_of_each_way(looking: list[Watched], tmp_path: Path) -> None:
    at_once, one_after_the_other, with_a_hole, lacking, failing = looking
    assert at_once.lookups >= at_once.passes * 3 > 0
    assert (at_once.failed, at_once.torn) == (0, 0)
    assert at_once.mixed is not None
    assert at_once.mixed.most == 0
    assert one_after_the_other.failed == 0
    assert one_after_the_other.torn > 0
    assert one_after_the_other.mixed is not None
    assert one_after_the_other.mixed.median > 0
    assert with_a_hole.failed > 0
    assert with_a_hole.torn > 0
    assert lacking.absent == "missing: it is not there"
    assert failing.absent.startswith("failed: false")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [Treeswap, LinkForced, LinkMoved, RemoveMove], ids=lambda kind: kind.__name__)
def test_each_way_changes_all_three(kind: type[Mover], tmp_path: Path) -> None:
    mover = kind(tmp_path, 2)
    for number in range(3):
        mover.prepare(number)
        mover.switch(number)
        assert [file.read_text() for file in mover.files()] == [f"{number}\n"] * 3
    mover.leave()


def test_a_reader_ends_with_its_input(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("1\n")
    watcher = Path(switching.__file__).parent / "watcher.py"
    words = [sys.executable, str(watcher), str(tmp_path / "version"), str(tmp_path / "none")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        told = json.loads(process.communicate(timeout=60)[0])
    assert told["lookups"] == 2 * told["passes"] == 2 * told["failed"] > 0
    assert [change[:2] for change in told["changes"]] == [[0, 1]]
