"""What visitors are answered while a site is deployed again and again, in the ways that people do it."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import accumulate

from treeswap.demo import front
from treeswap.demo.grounds import grounds
from treeswap.demo.readers import visiting
from treeswap.demo.tracks import Track
from treeswap.demo.verdict import Move, judge
from treeswap.errors import TreeswapError

from .figures import Spread
from .launching import CommandFailed
from .serving import WAYS, Way, lacks

VISITORS = 8
FIRST = "0"
"""The version that is served when visitors come."""
_PAUSE = 2.0  # seconds after each deploy, in which the slowest is through: nobody deploys into a deploy
_ANSWERS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What all visitors together met in one way of deploying.

    `errors` counts failed requests by kind. `mixed` answers said more than one version. A visit is a page and then a
    static file: `straddled` counts those of two versions, `out_of_order` how often an old version came after a newer
    one had come. `deploy`: seconds of the commands of one. `half` and `most`: milliseconds within which a half and
    99 % of the good answers came; `longest`: the most seconds for which a visitor had no good page.
    """

    name: str
    deploys: int = 0
    requests: int = 0
    seconds: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)
    mixed: int = 0
    visits: int = 0
    straddled: int = 0
    out_of_order: int = 0
    deploy: Spread | None = None
    half: int = 0
    most: int = 0
    longest: float = 0.0
    absent: str = ""


def answer(deploys: int, only: Callable[[str], bool], tell: Callable[[str], None]) -> list[Answered]:
    """Each way with so many deploys, one way after the other."""
    found = []
    for kind in WAYS:
        if not only(kind.name):
            continue
        why = lacks()
        if why:
            found.append(Answered(kind.name, absent=f"missing: {why}"))
            continue
        tell(f"requests: {kind.name}")
        try:
            found.append(_answer_one(kind, deploys))
        except (CommandFailed, TreeswapError, OSError, subprocess.SubprocessError) as failed:
            found.append(Answered(kind.name, absent=f"failed: {failed}"))
            tell(f"FAILED: {kind.name}: {failed}")
    return found


def _answer_one(kind: type[Way], deploys: int) -> Answered:
    nginx = front.program()
    assert nginx is not None
    moves, took = [], []
    with grounds() as place:
        way = kind(place, nginx)
        with way.serving(FIRST) as port:
            _until_answered(port)
            with visiting(str(port), VISITORS, named=False) as tracks:
                began = time.monotonic()
                time.sleep(_PAUSE)
                for version in map(str, range(1, deploys + 1)):
                    started = time.monotonic()
                    way.deploy(version)
                    took.append(time.monotonic() - started)
                    time.sleep(_PAUSE)
                    # Until the next one begins its version may come: not all commands end with what they set off.
                    moves.append(Move("deploy", version, version, started, time.monotonic()))
                seconds = time.monotonic() - began
    late = {track.stretches[-1].version for track in tracks if track.stretches} - {str(deploys)}
    if late or not tracks:
        raise CommandFailed(f"version {', '.join(sorted(late)) or 'none'} was served after deploy {deploys}")
    return _met(kind.name, tracks, moves, took, seconds)


def _met(name: str, tracks: Sequence[Track], moves: Sequence[Move], took: Sequence[float], seconds: float) -> Answered:
    verdict = judge(tracks, FIRST, moves)
    half, most = quantiles(tracks, 0.5, 0.99)
    return Answered(
        name,
        len(moves),
        verdict.requests,
        seconds,
        sum((Counter(track.kinds) for track in tracks), Counter()),
        verdict.mixed,
        verdict.visits,
        verdict.visits_straddled,
        verdict.out_of_order,
        Spread.of(took),
        half,
        most,
        max(track.longest for track in tracks),
    )


def quantiles(tracks: Sequence[Track], *shares: float) -> Iterator[int]:
    """Milliseconds within which such a share of all good answers came; 0 if there was none."""
    waits: Counter[int] = sum((Counter(dict(track.waits)) for track in tracks), Counter())
    ordered = sorted(waits.items())
    upto = list(accumulate(requests for _, requests in ordered))
    for share in shares:
        yield next((wait for (wait, _), number in zip(ordered, upto, strict=True) if number >= share * upto[-1]), 0)


def _until_answered(port: int) -> None:
    deadline = time.monotonic() + _ANSWERS_WITHIN
    while not _answered(port):
        if time.monotonic() > deadline:
            raise CommandFailed(f"no page within {_ANSWERS_WITHIN:.0f} s")
        time.sleep(0.05)


def _answered(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWERS_WITHIN)) as line:
        try:
            line.request("GET", "/")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
