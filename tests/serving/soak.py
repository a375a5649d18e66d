"""make test-soak, its second part: one release after the other under requests that never pause.

    cd tests && PYTHONPATH=.:../src python -m serving.soak --switches 100

The site, its gunicorn, the nginx in front and the visitors are those of `treeswap demo`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treeswap.demo import example, front
from treeswap.demo.grounds import Grounds, grounds
from treeswap.demo.readers import visiting
from treeswap.demo.verdict import Move, Verdict, judge

VERBS = ("deploy", "deploy", "rollback")
"""One after the other, again and again."""
_SEEN = 0.3
"""Seconds between two switches, in which a release is seen by everybody."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """`switches` are those under requests."""

    verdict: Verdict
    switches: int
    front: str
    seconds: float

    def __str__(self) -> str:
        it = self.verdict
        counts = f"{it.errors} errors, {it.mixed} mixed, {it.out_of_order} out of order"
        return "\n".join(
            [
                f"{self.switches} switches in {self.seconds:.0f} s, through {self.front}: {it.requests:,} requests,"
                f" {it.requests / self.seconds:.0f} a second, {counts};"
                f" {it.visits_straddled} of {it.visits:,} visits straddled a switch",
                *it.complaints,
            ]
        )


class _Site:
    """What is served, and what was done when."""

    def __init__(self, place: Grounds) -> None:
        self._place = place
        self._next = itertools.count(1)
        self._versions: dict[str, str] = {}
        self.moves: list[Move] = []

    def change(self, verb: str, *options: str) -> None:
        started = time.monotonic()
        if verb == "deploy":
            version = str(next(self._next))
            example.stamp(self._place.work / "new", version)
        clean = {name: text for name, text in os.environ.items() if not name.startswith("TREESWAP_")}
        words = [sys.executable, "-m", "treeswap", verb, *options]
        done = subprocess.run(words, cwd=self._place.work, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}"
        release = (self._place.site / "current").readlink().name
        if verb == "deploy":
            self._versions[release] = version
        self.moves.append(Move(verb, self._versions[release], release, started, time.monotonic()))

    def printed(self, port: int) -> str:
        words = [sys.executable, "-m", "treeswap", "webserver", "nginx", "--host", "127.0.0.1", "--port", str(port)]
        return subprocess.run(words, cwd=self._place.work, check=True, capture_output=True, text=True).stdout


@contextmanager
def _address(place: Grounds, site: _Site, nginx: str | None) -> Iterator[str]:
    """Where visitors ask."""
    if nginx is None:
        yield str(place.socket)
        return
    port = front.free_port()
    with front.serving(nginx, place.work / "nginx", site.printed(port), port):
        place.configure(f"http://127.0.0.1:{port}/up")
        yield str(port)


def soak(switches: int, visitors: int, nginx: str | None) -> Soaked:
    """So many switches under the requests of so many visitors, through nginx, or straight to the socket."""
    with grounds() as place:
        place.make("0")
        site = _Site(place)
        site.change("deploy", "--adopt")
        with _address(place, site, nginx) as address, visiting(address, visitors) as tracks:
            began = time.monotonic()
            time.sleep(_SEEN)
            for verb in itertools.islice(itertools.cycle(VERBS), switches):
                site.change(verb)
                time.sleep(_SEEN)
            seconds = time.monotonic() - began
        through = Path(nginx).name if nginx else "current/run/web.sock"
        return Soaked(judge(tracks, "0", site.moves), switches, through, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.soak")
    parser.add_argument("--switches", type=int, default=100)
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--without-nginx", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and nothing is left
    soaked = soak(asked.switches, asked.visitors, None if asked.without_nginx else front.program())
    print(soaked)
    return not soaked.verdict.kept_the_promise


if __name__ == "__main__":
    sys.exit(main())
