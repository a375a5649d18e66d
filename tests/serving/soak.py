"""make test-soak, its second part: one release after the other under requests that never pause.

    cd tests && PYTHONPATH=.:../src python -m serving.soak --switches 100

The site, its gunicorn, the nginx in front and the visitors are those of `treeswap demo`.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treeswap.demo import front
from treeswap.demo.changing import Changing
from treeswap.demo.grounds import Grounds, grounds
from treeswap.demo.readers import visiting
from treeswap.demo.verdict import Verdict, judge

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


@contextmanager
def _address(place: Grounds, site: Changing, nginx: str | None) -> Iterator[str]:
    """Where visitors ask."""
    if nginx is None:
        yield str(place.socket)
        return
    with site.front(nginx) as port:
        yield str(port)


def soak(switches: int, visitors: int, nginx: str | None) -> Soaked:
    """So many switches under the requests of so many visitors, through nginx, or straight to the socket."""
    with grounds() as place:
        place.make("0")
        site, versions = Changing(place), itertools.count(1)
        site.deploy(str(next(versions)), "--adopt")
        with _address(place, site, nginx) as address, visiting(address, visitors) as tracks:
            began = time.monotonic()
            time.sleep(_SEEN)
            for verb in itertools.islice(itertools.cycle(VERBS), switches):
                if verb == "deploy":
                    site.deploy(str(next(versions)))
                else:
                    site.rollback()
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
