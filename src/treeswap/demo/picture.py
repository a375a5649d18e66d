"""What the two pictures have in common: what is in them, its colours, its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from statistics import median

from .tracks import SLICE, Look, Track
from .verdict import Switch, Verdict

# Told apart by lightness as well as by hue, for eyes and printers that see no hues.
COLOURS = {
    "0": "#6e7686",
    "1": "#4aa3c7",
    "2": "#1f6fd6",
    "3": "#dd8f06",
    "4": "#12876f",
    "5": "#c62f2f",
    "6": "#6b4fbb",
    "7": "#8a6a3b",
    "8": "#4c8c2b",
    "9": "#c2478f",
}

EXPLANATION = (
    "Each answer is of one release: HTML, code and static file, and the release that X-Release names. A visit that asks"
    " for a page before a switch and for its static file after it sees two releases, one after the other. In the files,"
    " each lookup leads into one whole release, and all trees change at one instant. A pass that begins before that"
    " instant and ends after it sees two releases, one after the other: this is what the level “path” allows. A pinned"
    " pass holds its release from beginning to end, by Site.pin(), and sees one. Out of order would be a lookup that"
    " still saw the old release when another reader had seen the new one."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A count, its name for machines, and what was counted."""

    count: int
    name: str
    what: str
    must_be_nought: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """From `began` to `ended` (seconds of the monotonic clock) the readers of `tracks` went through the trees `trees`,
    on so many `filesystems`. `releases` maps each version to the release that brought it."""

    tracks: tuple[Track, ...]
    verdict: Verdict
    trees: tuple[str, ...]
    releases: Mapping[str, str]
    filesystems: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def subtitle(self) -> str:
        places = f"{len(self.trees)} places" + (f" on {self.filesystems} filesystems" if self.filesystems > 1 else "")
        return (
            f"A Django site in {places}, switched {len(self.verdict.switches)} times in {self.seconds:.0f} seconds,"
            f" under {self.requests_per_second:.0f} requests a second, its files read by {len(self.readers)} processes"
        )

    @property
    def readers(self) -> tuple[Track, ...]:
        return tuple(track for track in self.tracks if track.kind != "request")

    @property
    def visitors(self) -> tuple[Track, ...]:
        return tuple(track for track in self.tracks if track.kind == "request")

    @property
    def requests_per_second(self) -> float:
        """From the first request to the last."""
        slices = [count.slice for track in self.visitors for count in track.counts]
        return self.verdict.requests / ((max(slices) + 1 - min(slices)) * SLICE) if slices else 0.0

    @property
    def requests(self) -> Mapping[int, Mapping[str, int]]:
        """How many requests were answered with which version, by slice of time."""
        found: dict[int, Counter[str]] = {}
        for count in (count for track in self.visitors for count in track.counts):
            found.setdefault(count.slice, Counter())[count.version] += count.requests
        return found

    @property
    def figures(self) -> tuple[tuple[Figure, ...], ...]:
        """The counts, in four groups: of requests, of lookups, of passes, and of passes that held their release."""
        verdict = self.verdict
        return (
            (
                Figure(verdict.requests, "requests", "requests"),
                Figure(verdict.errors, "errors", "errors", must_be_nought=True),
                Figure(verdict.mixed, "mixed", "mixed answers", must_be_nought=True),
                Figure(round(self.requests_per_second), "requests_per_second", "requests a second"),
                Figure(verdict.visits, "visits", "visits: a page, and a static file"),
                Figure(verdict.visits_straddled, "visits_straddled", "straddled a switch"),
            ),
            (
                Figure(verdict.lookups, "lookups", "lookups"),
                Figure(verdict.failed, "failed", "failed", must_be_nought=True),
                Figure(verdict.out_of_order, "out_of_order", "out of order", must_be_nought=True),
            ),
            (
                Figure(verdict.passes, "passes", "passes"),
                Figure(verdict.straddled, "straddled", "straddled a switch"),
            ),
            (
                Figure(verdict.pinned_passes, "pinned_passes", "pinned passes"),
                Figure(verdict.pinned_straddled, "pinned_straddled", "straddled a switch", must_be_nought=True),
            ),
        )


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A switch, the readers that were caught near it with their lookups, how many seconds are shown before and after
    it, how long a lookup usually took, and how many of the passes straddled."""

    switch: Switch
    caught: tuple[tuple[Track, tuple[Look, ...]], ...]
    half: float
    usual: float
    straddled: int


def close_up(picture: Picture) -> CloseUp | None:
    """The switch near which the readers were caught best: nearest, then with the most passes that straddled it."""
    close_ups = [found for switch in picture.verdict.switches if (found := _caught(picture, switch))]
    return min(close_ups, key=lambda each: (each.half, -each.straddled, -len(each.caught)), default=None)


_BUSY = 6  # so many lookups must lie within the picture for a reader to be in it


def _caught(picture: Picture, switch: Switch) -> CloseUp | None:
    """A close-up of this switch, as near as some fourteen lookups take; from further away where no reader was that
    near."""
    near = [
        (track, change)
        for track in picture.tracks
        if track.kind == "path"
        for change in track.changes
        if change[0].began < switch.at < change[-1].began
    ]
    if not near:
        return None
    usual = median(later.began - look.began for _, change in near for look, later in pairwise(change))
    reach = min(sorted(abs(look.began - switch.at) for look in change)[_BUSY] for _, change in near)
    half = 2e-5 * ceil(max(14 * usual, reach) / 2e-5)
    caught = [(t, change) for t, change in near if sum(abs(look.began - switch.at) < half for look in change) >= _BUSY]
    straddled = sum(
        look.version != later.version and look.tree < later.tree and look.began > switch.at - half
        for _, change in caught
        for look, later in pairwise(change)
    )
    return CloseUp(switch, tuple(caught[:3]), half, usual, straddled)
