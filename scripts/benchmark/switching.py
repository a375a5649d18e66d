"""What readers see while three directories are changed again and again, in the ways that people do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .figures import Spread
from .launching import CommandFailed
from .moving import MOVERS, Mover

_WATCHER = Path(__file__).parent / "watcher.py"
_PAUSE = 0.01  # seconds between two switches, in which every reader goes round


@dataclass(frozen=True, slots=True)
class Watched:
    """What all readers together saw of one way to switch.

    `spread`: seconds from the first look at the new release to the moment when every reader had seen all of it, which
    includes that readers wait for a processor. `mixed`: seconds for which it was seen that old and new were served
    beside each other, from the end of the first look at the new release to the beginning of the last at the old one.
    """

    name: str
    switches: int = 0
    lookups: int = 0
    failed: int = 0
    passes: int = 0
    torn: int = 0
    spread: Spread | None = None
    mixed: Spread | None = None
    absent: str = ""


def watch(room: Path, switches: int, only: Callable[[str], bool], tell: Callable[[str], None]) -> list[Watched]:
    """Each way with so many switches, those that are slow with a tenth of them."""
    found = []
    for kind in MOVERS:
        if not only(kind.name):
            continue
        why = kind.lacks()
        if why:
            found.append(Watched(kind.name, absent=f"missing: {why}"))
            continue
        tell(f"switching by {kind.name}")
        try:
            found.append(_watch_one(kind, room / kind.__name__.lower(), max(switches // kind.slower, 2)))
        except (CommandFailed, OSError, subprocess.SubprocessError) as failed:
            found.append(Watched(kind.name, absent=f"failed: {failed}"))
            tell(f"FAILED: {kind.name}: {failed}")
    return found


def _watch_one(kind: type[Mover], place: Path, switches: int) -> Watched:
    place.mkdir()
    mover = kind(place, switches)
    try:
        mover.prepare(0)
        mover.switch(0)
        with readers(mover.files(), max(2, os.cpu_count() or 2)) as told:
            for number in range(1, switches + 1):
                mover.prepare(number)
                time.sleep(_PAUSE)
                mover.switch(number)
            time.sleep(_PAUSE * 5)
    finally:
        mover.leave()
        shutil.rmtree(place)
    times = [_at(told, number) for number in range(1, switches + 1)]
    counts = {key: sum(one[key] for one in told) for key in ("lookups", "failed", "passes", "torn")}
    seen = [time for time in times if time is not None]
    return Watched(
        kind.name,
        switches,
        **counts,
        spread=Spread.of([spread for spread, _ in seen]),
        mixed=Spread.of([mixed for _, mixed in seen]),
    )


def _at(told: Sequence[dict[str, Any]], version: int) -> tuple[float, float] | None:
    """The spread and the mixture of one switch; None if a reader saw a file of it, or of a later one, never."""
    firsts, lasts = [], []
    for one in told:
        for file in {change[0] for change in one["changes"]}:
            later = [change for change in one["changes"] if change[0] == file and change[1] >= version]
            if not later:
                return None
            _, _, last_old, first_new = later[0]
            firsts.append(first_new)
            lasts.append(last_old)
    if not firsts:
        return None
    return max(firsts) - min(firsts), max(0.0, max(lasts) - min(firsts))


@contextmanager
def readers(files: Sequence[Path], count: int) -> Iterator[list[dict[str, Any]]]:
    """While the block runs, so many processes read the files. The list is filled when it has ended; whatever happens,
    no reader outlives it."""
    told: list[dict[str, Any]] = []
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", _WATCHER, *files],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise CommandFailed("a reader did not start")
        yield told
        for process in processes:
            told.append(json.loads(process.communicate()[0]))
