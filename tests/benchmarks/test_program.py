"""The whole benchmark as a program, on a few files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import inputs as fetched
from benchmark.__main__ import run_course
from benchmark.asking import DOCS, Course, asked
from benchmark.inputs import Input
from benchmark.page import Report, markdown
from treeswap.demo import front

SCRIPTS = Path(__file__).parents[2] / "scripts"


def _bench(room: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    room.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *words],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), "TMPDIR": str(room), "SIZE": "tiny"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_run_writes_page_and_plot_and_leaves_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--rounds", "1", "--only", "treeswap", "rsync", "ln", "--switches", "3", "--starts", "1", "--deploys", "0"]
    done = _bench(tmp_path / "room", *words, "--out", str(out))
    page = (out / "benchmarks.md").read_text()
    for row in ("| treeswap | ", "| rsync | ", "| treeswap copy | 3 | ", "| ln -sfn, three times | 3 | "):
        assert row in page
    assert "all were equal." in page
    assert "| `treeswap status` | " in page
    assert "git worktree" not in page
    assert "## Requests" not in page
    assert ET.parse(out / "benchmarks.svg").getroot().tag.endswith("svg")
    assert done.stdout.strip() in page
    assert list((tmp_path / "room").iterdir()) == []


def test_a_part_of_it_is_run_alone(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # sockets want it
        words = ["--only", "gunicorn HUP, chdir", "--deploys", "1", "--starts", "0", "--switches", "0"]
        done = _bench(Path(short, "room"), *words, "--out", str(tmp_path / "out"))
        assert list(Path(short, "room").iterdir()) == []
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["benchmarks.md"]
        assert "Seconds: median" not in done.stdout
    there = "1" if front.program() else "missing: nginx is not installed"
    assert f"| gunicorn HUP, chdir current | {there} | " in (tmp_path / "out/benchmarks.md").read_text()
    assert "paths through current" not in done.stdout


def test_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    done = _bench(tmp_path / "room", "--only", "rsink", code=2)
    assert "nobody's name begins with rsink" in done.stderr


def test_an_input_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    def unreachable(root: Path) -> Input:
        raise fetched.Unavailable("npm could not fetch it")

    report = Report()
    run_course(Course(unreachable, (), 1, 1, 1), tmp_path, asked(["--size", "tiny"]), report)
    assert report.races == []
    assert "| input unreachable | missing: npm could not fetch it |" in markdown(report, "p.svg")


def test_every_option_is_on_the_page() -> None:
    said = set(re.findall(r"`\[(--[a-z]+)", (DOCS / "benchmarks.md").read_text()))
    helped = subprocess.run(
        [sys.executable, "-m", "benchmark", "--help"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == set(re.findall(r"--[a-z]+", helped)) - {"--help"}


@pytest.mark.parametrize(
    ("words", "out"),
    [([], DOCS), (["--size", "small"], DOCS), (["--only", "treeswap"], None), (["--size", "tiny"], None)],
)
def test_only_a_full_run_touches_the_documentation(words: list[str], out: Path | None) -> None:
    assert asked([*words, *([] if "--size" in words else ["--size", "64k"])]).out == out
