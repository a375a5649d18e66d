"""The meter itself: whether readers and verdict would notice what must not happen. Real readers read real files, which
are switched in the ways that treeswap does not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from treeswap.demo.tracks import Stretch, Track
from treeswap.demo.verdict import Move, Verdict, judge

TREES = ("apps", "conf", "static")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Two versions of three trees, and for each tree a link to the first; `current` leads to the first too."""
    for version in "12":
        for tree in TREES:
            (tmp_path / version / tree).mkdir(parents=True)
            (tmp_path / version / tree / "version").write_text(version)
    for tree in TREES:
        (tmp_path / tree).symlink_to(f"1/{tree}")
    (tmp_path / "current").symlink_to("1")
    return tmp_path


@contextmanager
def reader(*paths: Path) -> Iterator[list[Track]]:
    """One reader while the block runs, and afterwards its track in the list."""
    tracks: list[Track] = []
    words = [word for path in paths for word in (str(path), "version")]
    with subprocess.Popen(
        [sys.executable, "-m", "treeswap.demo.reader", "reader", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        yield tracks
        time.sleep(0.2)
        process.stdin.close()
        tracks += [Track.from_json(track) for track in json.loads(process.stdout.read())]


def judged(paths: list[Path], switch: Callable[[], None]) -> Verdict:
    with reader(*paths) as tracks:
        started = time.monotonic()
        switch()
        ended = time.monotonic()
    return judge(tracks, "1", [Move("switch", "2", "20260101000000", started, ended)])


def swing(link: Path, text: str) -> None:
    (link.parent / "new").symlink_to(text)
    os.rename(link.parent / "new", link)


def test_one_rename_keeps_the_promise(room: Path) -> None:
    verdict = judged([room / "current" / tree for tree in TREES], lambda: swing(room / "current", "2"))
    assert verdict.kept_the_promise, verdict.complaints
    assert verdict.lookups > 100
    assert verdict.lookups == 3 * verdict.passes


def test_three_renames_one_after_the_other_are_noticed(room: Path) -> None:
    def switch() -> None:
        for tree in TREES:
            swing(room / tree, f"2/{tree}")
            time.sleep(0.1)

    verdict = judged([room / tree for tree in TREES], switch)
    assert not verdict.kept_the_promise
    assert verdict.out_of_order > 0
    assert verdict.straddled > 1


def test_a_link_that_is_missing_for_a_moment_is_noticed(room: Path) -> None:
    def switch() -> None:
        (room / "current").unlink()
        time.sleep(0.1)
        (room / "current").symlink_to("2")

    verdict = judged([room / "current" / tree for tree in TREES], switch)
    assert not verdict.kept_the_promise
    assert verdict.failed > 0
    assert any("FileNotFoundError" in complaint for complaint in verdict.complaints)


def test_an_empty_file_is_a_failed_lookup(room: Path) -> None:
    verdict = judged([room / "current" / tree for tree in TREES], lambda: os.truncate(room / "1/conf/version", 0))
    assert verdict.failed > 0


PLAIN = Track("r", "path", 30, 10, 0, (), (Stretch("1", 1.0, 4.9), Stretch("2", 5.1, 9.0)), ())
VISITOR = replace(PLAIN, kind="request", named={"20260101000000": "2"})
MOVES = [Move("copy", "2", "20260101000000", 4.0, 6.0)]


def test_the_switch_lies_between_the_last_old_and_the_first_new_lookup() -> None:
    other = replace(PLAIN, stretches=(Stretch("1", 1.0, 4.5), Stretch("2", 5.05, 9.0)))
    verdict = judge([PLAIN, other], "1", MOVES)
    assert verdict.kept_the_promise
    assert 4.9 < verdict.switches[0].at < 5.05


@pytest.mark.parametrize(
    ("tracks", "complaint"),
    [
        pytest.param(
            [PLAIN, replace(PLAIN, stretches=(Stretch("1", 1.0, 5.2), Stretch("2", 5.3, 9.0)))],
            "while another was served",
            id="the old one after another reader had the new one",
        ),
        pytest.param(
            [replace(PLAIN, stretches=(Stretch("1", 1.0, 9.0),))], "while another was served", id="never the new one"
        ),
        pytest.param(
            [replace(PLAIN, stretches=(Stretch("2", 1.0, 9.0),))],
            "while another was served",
            id="the new one before",
        ),
        pytest.param(
            [replace(PLAIN, stretches=(*PLAIN.stretches, Stretch("1", 9.1, 9.2)))],
            "while another was served",
            id="back to the old one",
        ),
        pytest.param([replace(PLAIN, lookups=0, stretches=())], "saw nothing", id="nothing"),
        pytest.param([PLAIN, replace(PLAIN, kind="process", straddled=(5.0,))], "pinned passes", id="a pin that mixes"),
        pytest.param([replace(PLAIN, failed=1, failures=("OSError: gone",))], "OSError: gone", id="a failed lookup"),
        pytest.param([replace(VISITOR, failed=1)], "1 requests failed", id="a failed request"),
        pytest.param([replace(VISITOR, mixed=1)], "more than one release", id="a mixed answer"),
        pytest.param(
            [replace(VISITOR, stretches=(*VISITOR.stretches, Stretch("1", 9.1, 9.2)))],
            "while another was served",
            id="an answer of the old one later",
        ),
        pytest.param(
            [replace(VISITOR, named={"20260101000000": "1"})],
            "version 1 under the name of release 20260101000000",
            id="a name of another",
        ),
    ],
)
def test_what_must_not_be_is_told(tracks: list[Track], complaint: str) -> None:
    verdict = judge(tracks, "1", MOVES)
    assert not verdict.kept_the_promise
    assert any(complaint in told for told in verdict.complaints), verdict.complaints


def test_a_straddled_pass_of_a_reader_that_holds_nothing_is_allowed() -> None:
    verdict = judge([replace(PLAIN, straddled=(5.0,))], "1", MOVES)
    assert verdict.kept_the_promise
    assert verdict.straddled == 1
