"""Ratios, the page and the plot, out of figures that are made up."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmark.answering import Answered
from benchmark.figures import FIRST, PERCENT, SAME, STEPS, Race, Spread, Timing
from benchmark.page import BEGIN, END, Report, markdown, write
from benchmark.plot import draw
from benchmark.switching import Watched


def _race(size: int = 60_000, **seconds: tuple[float, ...]) -> Race:
    """So many seconds in each round, the same at every step, by each contender."""
    race = Race("packages", size, 1000, grows=True)
    for name, rounds in seconds.items():
        race.contenders.append(name.replace("_", " "))
        race.timings += [
            Timing(name.replace("_", " "), step, number, found, size * 100)
            for step in STEPS
            for number, found in enumerate(rounds)
        ]
    return race


def _cells(text: str, first: str) -> list[list[str]]:
    """The rows of all tables that begin with this word."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return [row[1:] for row in rows if row[0] == first]


def test_a_ratio_is_of_two_times_in_the_same_round() -> None:
    race = _race(treeswap=(1.0, 4.0, 3.0), rsync=(2.0, 4.0, 12.0))
    assert race.ratio("treeswap", SAME, "rsync") == Spread(0.5, 0.25, 1.0)
    race.timings = [timing for timing in race.timings if (timing.contender, timing.round) != ("rsync", 1)]
    assert race.ratio("treeswap", SAME, "rsync") == Spread(0.375, 0.25, 0.5)
    assert race.ratio("treeswap", SAME, "nobody") is None


def test_the_faster_one_is_the_one_with_the_smaller_median() -> None:
    race = _race(rsync=(1.0, 9.0, 9.0), other=(5.0, 5.0, 5.0))
    assert race.faster(SAME, "rsync", "other") == "other"
    assert race.faster(SAME, "rsync", "absent") == "rsync"
    assert race.faster(SAME, "absent") is None


def test_the_peak_is_the_most_of_the_steps_that_are_asked_for() -> None:
    race = Race("packages", 1, 1)
    race.timings = [Timing("treeswap", FIRST, 0, 1.0, 500), Timing("treeswap", SAME, 0, 1.0, 300)]
    assert (race.peak("treeswap"), race.peak("treeswap", SAME), race.peak("rsync")) == (500, 300, None)


def test_the_tables_hold_seconds_ratios_and_bytes() -> None:
    race = _race(treeswap=(0.5, 0.75, 0.5), rsync=(2.0, 2.0, 2.0), rsync_3_2_7=(9.0, 9.0, 9.0))
    race.disk = {"treeswap": 7_000_000}
    seconds, ratios, rest = _cells(markdown(Report(races=[race]), "picture.svg"), "treeswap")
    assert seconds == ["0.500 (0.500–0.750)"] * len(STEPS)
    assert set(ratios) == {"0.25 × (0.25–0.38)"}
    assert rest == ["6.0 MB", "6.0 MB", "7.0 MB", "–", "–"]


def test_who_was_absent_is_in_every_table_and_says_why() -> None:
    race = _race(treeswap=(1.0,), rsync=(1.0,))
    race.contenders.append("ostree")
    race.absent["ostree"] = "missing: ostree is\nnot installed | anywhere"
    rows = _cells(markdown(Report(races=[race]), "picture.svg"), "ostree")
    assert [row[0] for row in rows] == ["missing: ostree is not installed / anywhere"] * 3
    watched = [Watched("ln", absent="missing: ln"), Watched("treeswap", 5, 100, 0, 30, 2, Spread(1e-3, 0, 2e-3), None)]
    text = markdown(Report(watched=watched), "picture.svg")
    assert _cells(text, "ln") == [["missing: ln", *[""] * 6]]
    assert _cells(text, "treeswap") == [["5", "100", "0", "30", "2", "1,000 µs, at most 2,000", "–"]]


def test_what_visitors_met_is_in_two_tables_and_who_was_absent_in_the_first() -> None:
    met = Answered(
        "HUP",
        10,
        30_000,
        15.0,
        {"502": 1_200, "TimeoutError": 1},
        75,
        15_000,
        24,
        3,
        Spread(0.2, 0.1, 0.3),
        9,
        70,
        1.25,
    )
    well = Answered("treeswap deploy", 10, 1_000, 10.0, visits=500, deploy=Spread(5, 4, 6), half=1, most=2)
    text = markdown(Report(answered=[well, met, Answered("restart", absent="missing: nginx is\nnot here")]), "p.svg")
    assert _cells(text, "HUP") == [
        ["10", "30,000", "2,000", "1,201 (1,200 × 502, 1 × TimeoutError)", "75", "15,000", "24", "3"],
        ["0.200 (0.100–0.300)", "9 ms", "70 ms", "1.2 s"],
    ]
    assert _cells(text, "treeswap deploy")[0] == ["10", "1,000", "100", "0", "0", "500", "0", "0"]
    assert _cells(text, "restart") == [["missing: nginx is not here", *[""] * 7]]
    assert "Requests" not in markdown(Report(), "p.svg")


def test_what_was_not_equal_is_told_and_nothing_else_is() -> None:
    race = _race(treeswap=(1.0,))
    race.compared = 12
    assert "12 comparisons of a tree with its source: all were equal." in markdown(Report(races=[race]), "p.svg")
    race.unequal.append("treeswap, rollback, apps: a is missing")
    text = markdown(Report(races=[race]), "p.svg")
    assert "- treeswap, rollback, apps: a is missing" in text
    assert "all were equal" not in text


def test_growth_is_told_of_inputs_that_differ_in_size_only() -> None:
    races = [_race(60_000, treeswap=(2.0,)), _race(10_000, treeswap=(1.0,))]
    assert _cells(markdown(Report(races=races), "p.svg"), "60,000")[0][-2:] == ["6.0 MB", "100"]
    races[0].grows = False
    assert "## Growth" not in markdown(Report(races=races), "p.svg")


def test_goals_are_compared_on_large_inputs_only() -> None:
    large, small = _race(treeswap=(1.0,), rsync=(4.0,)), _race(7_000, treeswap=(1.0,), rsync=(4.0,))
    assert _cells(markdown(Report(races=[small, large]), "p.svg"), f"60,000 files, {PERCENT}") == [
        ["≤ 0.5 × the faster rsync", "0.25 ×"]
    ]
    assert "## Goals" not in markdown(Report(races=[small]), "p.svg")


def test_the_prose_around_the_figures_stays(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold figures\n{END}\n\nAfter.\n")
    for _ in range(2):
        write(page, Report(facts={"kernel": "Linux"}), "p.svg")
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\n\nAfter.\n")
    assert "old figures" not in text
    assert _cells(text, "kernel") == [["Linux"]]


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("prose\n")
    with pytest.raises(ValueError, match="lacks"):
        write(page, Report(), "p.svg")
    assert page.read_text() == "prose\n"


def test_bars_are_as_long_as_the_medians() -> None:
    race = _race(treeswap=(1.0, 1.0, 9.0), rsync=(4.0, 4.0, 9.0))
    bars = [float(bar.attrib["width"]) for bar in ET.fromstring(draw([race])).iter() if bar.get("class") == "bar"]
    assert len(bars) == 8
    assert bars[1] == pytest.approx(4 * bars[0], rel=0.01)


def test_lines_show_growth_and_labels_do_not_lie_on_each_other() -> None:
    races = [_race(size, treeswap=(size / 1e5,), rsync=(size / 1e5,)) for size in (10_000, 60_000, 1_000_000)]
    drawn = ET.fromstring(draw(races))
    lines = [line.attrib["points"].split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(line) for line in lines] == [3] * 4
    labels = [text for text in drawn.iter("{http://www.w3.org/2000/svg}text") if text.text in ("treeswap", "rsync")]
    places = {(text.attrib["x"], text.attrib["y"]) for text in labels}
    assert len(places) == len(labels)
    assert not any(text.text == "60k" for text in ET.fromstring(draw(races[:1])).iter())
