"""`treeswap demo`: it works, it draws what it did, and it leaves nothing but the picture, however it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import wait_for
from treeswap.demo import front
from treeswap.demo.example import STAMPS, location
from treeswap.demo.story import ARRIVAL, FIRST, STEPS

VERSIONS = [FIRST, *ARRIVAL.versions, *(version for step in STEPS for version in step.versions)]
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Place:
    """Where a demo runs: its working directory, and a TMPDIR, whose path has to be short."""

    here: Path
    temporary: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "treeswap", "demo", *words],
            cwd=self.here,
            env=os.environ | {"TMPDIR": str(self.temporary), "COLUMNS": "110"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def left_over(self, told: str) -> list[str]:
        """What is still there of a demo that told this: directories, and processes that know them."""
        elsewhere = {Path(path) for path in re.findall(r"/dev/shm/treeswap-demo-\w+", told)}
        files = [str(path) for path in (*self.temporary.iterdir(), *elsewhere) if path.exists()]
        names = [str(self.temporary), *map(str, elsewhere)]
        return files + [line for line in _commands() if any(name in line for name in names)]


def _commands() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield os.fsdecode(process.read_bytes().replace(b"\0", b" "))
        except OSError:  # it has ended meanwhile
            continue


@contextmanager
def a_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as room:
        here, temporary = Path(room, "here"), Path(room, "a-b,c=d")
        here.mkdir()
        temporary.mkdir()
        yield Place(here, temporary)


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


@dataclass(frozen=True)
class Seen:
    answer: dict[str, Any]
    told: str
    svg: ElementTree.Element


@pytest.fixture(scope="module")
def seen() -> Seen:
    """One demo, from beginning to end."""
    with a_place() as place:
        process = place.start("--json", "--pause", "0.2", "--readers", "2", "--visitors", "3")
        out, told = process.communicate()
        assert process.returncode == 0, told
        assert place.left_over(told) == []
        assert [path.name for path in place.here.iterdir()] == ["demo.svg"]
        return Seen(json.loads(out), told, ElementTree.parse(place.here / "demo.svg").getroot())


def test_no_request_fails_and_no_answer_is_mixed(seen: Seen) -> None:
    assert (seen.answer["errors"], seen.answer["mixed"]) == (0, 0)
    assert seen.answer["requests"] > 1000
    assert seen.answer["switches"] == len(VERSIONS) - 1


def test_no_lookup_fails_and_no_pinned_pass_straddles(seen: Seen) -> None:
    counts = {name: seen.answer[name] for name in ("failed", "out_of_order", "pinned_straddled")}
    assert counts == {"failed": 0, "out_of_order": 0, "pinned_straddled": 0}
    assert seen.answer["passes"] > 1000
    assert seen.answer["pinned_passes"] > 10
    assert seen.answer["lookups"] == 3 * (seen.answer["passes"] + seen.answer["pinned_passes"])


def test_it_shows_each_command(seen: Seen) -> None:
    typed = re.findall(r"^\$ treeswap (\w+)", seen.told, re.MULTILINE)
    verbs = [verb for verb in typed if verb != "webserver"]
    assert verbs == ["adopt", "deploy", *(step.label.split()[0] for step in STEPS), "releases"]
    assert ("webserver" in typed) == (front.program() is not None)
    assert "is answered with 503" in seen.told


def test_the_terminal_picture_has_a_line_for_each_reader(seen: Seen) -> None:
    expected = "".join(VERSIONS)
    for name in ("reader 1", "reader 2"):
        (line,) = re.findall(rf"^ *{name} ([\d|]+) *$", seen.told, re.MULTILINE)
        assert re.sub(r"(.)\1*", r"\1", line.replace("|", "")) == expected
    (line,) = re.findall(r"^ *pinned ([\d|.]+) *$", seen.told, re.MULTILINE)
    assert re.sub(r"(.)\1*", r"\1", line.replace("|", "").replace(".", "")) in (expected, expected[1:])
    (line,) = re.findall(r"^ *requests ([\d|.]+) *$", seen.told, re.MULTILINE)
    assert re.sub(r"(.)\1*", r"\1", line.replace("|", "").replace(".", "")) == expected[1:]


def test_the_svg_has_the_switches_and_what_each_reader_saw(seen: Seen) -> None:
    marks = [line for line in seen.svg.iter(f"{SVG}line") if line.get("class") == "switch"]
    places = [float(mark.attrib["x1"]) for mark in marks]
    assert len(places) == len(VERSIONS) - 1
    assert places == sorted(places)
    titles = [title.text for title in seen.svg.iter(f"{SVG}title")]
    for name in ("reader 1", "reader 2"):
        saw = [title.rpartition(" ")[2] for title in titles if title and title.startswith(f"{name} saw version")]
        assert saw == VERSIONS
    drawn = [re.fullmatch(r"(\d+) requests were answered by version (\d)", title or "") for title in titles]
    assert {found[2] for found in drawn if found} == set(VERSIONS[1:])
    assert sum(int(found[1]) for found in drawn if found) == seen.answer["requests"]
    texts = [text.text for text in seen.svg.iter(f"{SVG}text")]
    assert f"{seen.answer['lookups']:,}" in texts
    assert any(text and text.startswith("From close up: ") for text in texts)


@pytest.mark.parametrize("moment", ["adopt", "webserver", "deploy\n"], ids=str.strip)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_signal_ends_it(place: Place, number: signal.Signals, moment: str) -> None:
    if front.program() is None and moment == "webserver":
        pytest.skip("nginx is not installed")
    with place.start("--pause", "0.1", "--readers", "1") as process:
        assert process.stdout is not None
        told = ""
        while f"$ treeswap {moment}" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        if number == signal.SIGINT:  # as Ctrl-C does, to all of them
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        told += process.stdout.read()
        assert process.wait() == 128 + number, told
    assert place.left_over(told) == []
    assert list(place.here.iterdir()) == []


def test_no_reader_outlives_a_demo_that_is_killed(place: Place) -> None:
    def readers() -> list[str]:
        return [line for line in _commands() if "treeswap.demo.reader" in line and str(place.temporary) in line]

    with place.start("--pause", "60", "--readers", "1") as process:
        wait_for(lambda: len(readers()) == 2, "both readers run")
        process.kill()
        assert process.stdout is not None
        told = process.stdout.read()
    for left in re.findall(r"/dev/shm/treeswap-demo-\w+", told):
        shutil.rmtree(left, ignore_errors=True)
    wait_for(lambda: readers() == [], "they have ended")


def test_a_temporary_directory_without_room_for_a_socket_is_refused(place: Place, tmp_path: Path) -> None:
    long = tmp_path / ("long" * 12)
    long.mkdir()
    with Place(place.here, long).start() as process:
        _, told = process.communicate()
    assert process.returncode == 2
    assert "TMPDIR=/tmp treeswap demo" in told
    assert list(long.iterdir()) == []


def test_a_picture_that_cannot_be_written_is_refused_at_once(place: Place) -> None:
    with place.start("--svg", "no/such/directory.svg") as process:
        out, told = process.communicate()
    assert process.returncode == 2
    assert "no/such/directory.svg" in told
    assert out == ""


def test_every_part_of_the_example_says_its_version() -> None:
    for tree, (file, text) in STAMPS.items():
        assert (location() / tree / file).read_text() == text.format("1")
