"""Starting processes that read or visit, and collecting what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from treeswap.errors import Failed

from .example import Place
from .tracks import Track


@contextmanager
def reading(places: Sequence[Place], count: int) -> Iterator[list[Track]]:
    """While the block runs, `count` processes read the public paths, and one more reads pinned releases. The list is
    filled when the block has ended; whatever happens, no reader outlives it."""
    files = [word for place in places for word in (str(place.live), place.stamp)]
    names = [*([f"reader {number}"] for number in range(1, count + 1)), ["--pin", "pinned"]]
    with _running([["treeswap.demo.reader", *name, *files] for name in names]) as tracks:
        yield tracks


@contextmanager
def visiting(address: str, count: int, *, named: bool = True) -> Iterator[list[Track]]:
    """The same with so many visitors, see `visitor`; whether answers have to name their release."""
    with _running([["treeswap.demo.visitor", str(count), address, *([] if named else ["--unnamed"])]]) as tracks:
        yield tracks


@contextmanager
def _running(modules: Sequence[Sequence[str]]) -> Iterator[list[Track]]:
    tracks: list[Track] = []
    processes: list[subprocess.Popen[str]] = []
    try:
        for words in modules:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise Failed("a reader did not start")
        yield tracks
        for process in processes:
            tracks += _tracks(process)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _tracks(process: subprocess.Popen[str]) -> list[Track]:
    """What it tells when its input ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    told = process.stdout.read()
    if process.wait() != 0:
        raise Failed(f"a reader ended with {process.returncode}")
    return [Track.from_json(track) for track in json.loads(told)]
