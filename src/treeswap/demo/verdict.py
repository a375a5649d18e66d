"""What all readers and visitors saw, held against what was done when.

Beside the failed lookups and requests this counts those that were out of order: a reader that saw a version while it
could not have been served, or that still saw the old one when another reader had already seen the new one. With one
rename for all trees there is no such lookup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from .tracks import Track


@dataclass(frozen=True, slots=True)
class Move:
    """A command that changed which version is served: from when to when it ran (seconds of the monotonic clock), and
    the version and the release that were served after it."""

    label: str
    version: str
    release: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Switch:
    """A move, and the instant at which the readers saw it happen."""

    move: Move
    at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What begins with `pinned_` is of pinned readers, and what concerns requests and visits of visitors."""

    switches: tuple[Switch, ...]
    requests: int
    errors: int
    mixed: int
    visits: int
    visits_straddled: int
    lookups: int
    passes: int
    failed: int
    straddled: int
    out_of_order: int
    pinned_passes: int
    pinned_straddled: int
    complaints: tuple[str, ...] = ()

    @property
    def kept_the_promise(self) -> bool:
        return not self.complaints


def judge(tracks: Sequence[Track], first_version: str, moves: Sequence[Move]) -> Verdict:
    """`lookups` and `failed` count those of all readers, `out_of_order` what readers of public paths and visitors
    saw."""
    public = [track for track in tracks if track.kind == "path"]
    pinned = [track for track in tracks if track.kind == "process"]
    visitors = [track for track in tracks if track.kind == "request"]
    out_of_order, sights = _sights([*public, *visitors], first_version, moves)
    switches = []
    for number, move in enumerate(moves, start=1):
        old_until = max((s.last_began for s in sights if s.serving < number), default=-inf)
        new_from = min((s.first_ended for s in sights if s.serving >= number), default=inf)
        out_of_order += old_until > new_from
        seen = -inf < old_until and new_from < inf
        switches.append(Switch(move, (old_until + new_from) / 2 if seen else move.ended))

    verdict = Verdict(
        switches=tuple(switches),
        requests=sum(track.lookups for track in visitors),
        errors=sum(track.failed for track in visitors),
        mixed=sum(track.mixed for track in visitors),
        visits=sum(track.passes for track in visitors),
        visits_straddled=sum(len(track.straddled) for track in visitors),
        lookups=sum(track.lookups for track in [*public, *pinned]),
        passes=sum(track.passes for track in public),
        failed=sum(track.failed for track in [*public, *pinned]),
        straddled=sum(len(track.straddled) for track in public),
        out_of_order=out_of_order,
        pinned_passes=sum(track.passes for track in pinned),
        pinned_straddled=sum(len(track.straddled) for track in pinned),
    )
    releases = {move.release: move.version for move in moves}
    return replace(verdict, complaints=(*_complaints(verdict, tracks), *_strangers(visitors, releases)))


@dataclass(frozen=True, slots=True)
class _Sight:
    """A stretch of one reader, and which of the served versions (0 the first, 1 that of the first move …) it saw."""

    serving: int
    first_ended: float
    last_began: float


def _sights(tracks: Sequence[Track], first_version: str, moves: Sequence[Move]) -> tuple[int, list[_Sight]]:
    versions = [first_version, *(move.version for move in moves)]
    begins = [-inf, *(move.started for move in moves)]
    ends = [*(move.ended for move in moves), inf]
    served = list(zip(versions, begins, ends, strict=True))
    strange, sights = 0, []
    for track in tracks:
        serving = 0
        for stretch in track.stretches:
            possible = (
                number
                for number, (version, begin, end) in enumerate(served)
                if number >= serving
                and version == stretch.version
                and stretch.first_ended >= begin
                and stretch.last_began <= end
            )
            found = next(possible, None)
            if found is None:
                strange += 1
            else:
                serving = found
                sights.append(_Sight(serving, stretch.first_ended, stretch.last_began))
    return strange, sights


def _complaints(verdict: Verdict, tracks: Sequence[Track]) -> Iterator[str]:
    if verdict.errors:
        yield f"{verdict.errors} requests failed"
    if verdict.mixed:
        yield f"{verdict.mixed} answers were of more than one release"
    if verdict.failed:
        yield f"{verdict.failed} lookups failed"
    for track in tracks:
        yield from (f"{track.name}: {failure}" for failure in track.failures)
        if not track.lookups:
            yield f"{track.name} saw nothing"
    if verdict.out_of_order:
        yield f"{verdict.out_of_order} times a release was seen while another was served"
    if verdict.pinned_straddled:
        yield f"{verdict.pinned_straddled} pinned passes saw two releases"


def _strangers(visitors: Sequence[Track], releases: Mapping[str, str]) -> Iterator[str]:
    """Answers under a release's name that are not its."""
    for track in visitors:
        for release, version in track.named.items():
            if releases.get(release) != version:
                yield f"{track.name} saw version {version} under the name of release {release}"
