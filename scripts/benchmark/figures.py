"""What was measured, and what follows from it: medians, spreads, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

FIRST, SAME, PERCENT, CODE, TEN, BACK = (
    "first copy", "nothing changed", "1 % changed", "code alone", "ten files changed", "rollback"
)  # fmt: skip
STEPS = (FIRST, SAME, PERCENT, TEN, CODE, BACK)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, the smallest and the largest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread | None:
        return cls(median(numbers), min(numbers), max(numbers)) if numbers else None


@dataclass(frozen=True, slots=True)
class Timing:
    """One command line at work: seconds, peak memory in bytes, and for a rollback that tells it the seconds until the
    switch."""

    contender: str
    step: str
    round: int
    seconds: float
    peak: int
    switched: float | None = None


@dataclass(slots=True)
class Race:
    """What one input gave; `grows` as the input says.

    `disk` is in bytes, `synced` and `removed` are seconds that took no part in the times; `absent` says of each
    contender that did not take part why, `unequal` which results were not what went in.
    """

    title: str
    size: int
    directories: int
    grows: bool = False
    contenders: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    disk: dict[str, int] = field(default_factory=dict)
    synced: dict[str, list[float]] = field(default_factory=dict)
    removed: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)
    compared: int = 0

    def seconds(self, contender: str, step: str) -> Spread | None:
        return Spread.of(list(self._by_round(contender, step).values()))

    def switched(self, contender: str) -> Spread | None:
        return Spread.of([timing.switched for timing in self.timings
                          if timing.contender == contender and timing.switched is not None])  # fmt: skip

    def peak(self, contender: str, *steps: str) -> int | None:
        """The most that it took in any of the steps; in any at all, if none is named."""
        peaks = [timing.peak for timing in self.timings
                 if timing.contender == contender and (not steps or timing.step in steps)]  # fmt: skip
        return max(peaks, default=None)

    def faster(self, step: str, *among: str) -> str | None:
        """That of them whose median is the smaller one."""
        found = {name: spread.median for name in among if (spread := self.seconds(name, step))}
        return min(found, key=lambda name: found[name], default=None)

    def ratio(self, contender: str, step: str, beside: str) -> Spread | None:
        """How many times as long as the other it took, in the same round."""
        mine, theirs = self._by_round(contender, step), self._by_round(beside, step)
        return Spread.of([mine[number] / theirs[number] for number in sorted(mine.keys() & theirs.keys())])

    def _by_round(self, contender: str, step: str) -> dict[int, float]:
        return {timing.round: timing.seconds for timing in self.timings
                if (timing.contender, timing.step) == (contender, step)}  # fmt: skip
