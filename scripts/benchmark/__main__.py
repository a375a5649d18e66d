"""`python -m benchmark`: the whole benchmark, and the page that it writes. The page is written anew after each part, so
that a run which is ended early leaves what it had."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import inputs as fetched

from .answering import answer
from .asking import SIZES, Asked, Course, asked
from .machine import facts
from .page import Report, markdown, write
from .plot import draw
from .racing import Plan, race
from .starting import starts
from .switching import watch

_PAGE, _PICTURE = "benchmarks.md", "benchmarks.svg"


def main() -> None:
    wanted = asked()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the directory goes then too
    report = Report()
    with tempfile.TemporaryDirectory(prefix="treeswap-bench-") as name:
        room = Path(name).resolve()
        room.chmod(0o755)
        report.facts = facts(room, wanted)
        if wanted.switches:
            (room / "switching").mkdir()
            report.watched = watch(room / "switching", wanted.switches, wanted.wants, _tell)
        if wanted.deploys:
            report.answered = answer(wanted.deploys, wanted.wants, _tell)
        if wanted.starts and wanted.wants("treeswap"):
            _tell("start-up")
            report.starts = starts(room / "starting", wanted.starts)
        _publish(report, wanted)
        for course in SIZES[wanted.size]:
            if any(wanted.wants(kind.name) for kind in course.kinds):
                run_course(course, room, wanted, report)
                _publish(report, wanted)
    print(markdown(report, _PICTURE))
    if report.unequal:
        sys.exit(1)


def run_course(course: Course, room: Path, wanted: Asked, report: Report) -> None:
    """Adds a race to the report; if its input cannot be had, the fact that it cannot."""
    _tell(f"{course.make.__name__}: making the input")
    try:
        source = course.make(room / "input")
    except fetched.Unavailable as why:
        report.facts[f"input {course.make.__name__}"] = f"missing: {why}"
        _tell(f"MISSING: {why}")
        return
    rounds = wanted.rounds or course.rounds
    plan = Plan(
        rounds, min(rounds, course.slow_rounds), min(rounds, course.firsts), room / "race", _tell, course.read_all
    )
    plan.room.mkdir()
    kinds = [kind for kind in course.kinds if wanted.wants(kind.name)]
    report.races.append(race(source, kinds, plan, course.left_out))
    subprocess.run(["rm", "-rf", plan.room, source.root], check=True)


def _publish(report: Report, wanted: Asked) -> None:
    if wanted.out is None:
        return
    wanted.out.mkdir(parents=True, exist_ok=True)
    write(wanted.out / _PAGE, report, _PICTURE)
    if report.races:
        (wanted.out / _PICTURE).write_text(draw(report.races))


_STARTED = time.monotonic()


def _tell(sentence: str) -> None:
    seconds = int(time.monotonic() - _STARTED)
    print(f"{seconds // 60:3}:{seconds % 60:02}  {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
