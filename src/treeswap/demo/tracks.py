"""What one reader or visitor saw: few numbers for millions of lookups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["path", "process", "request"]
"""Which of the levels of consistency it goes by: the public paths, pinned releases, or requests."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lookups one after the other that all saw the same version. The first of them had ended at `first_ended`, the last
    began at `last_began` (seconds of the monotonic clock)."""

    version: str
    first_ended: float
    last_began: float


@dataclass(frozen=True, slots=True)
class Look:
    """One lookup: when it began, in which of the trees (by number), and the version that it saw."""

    began: float
    tree: int
    version: str


@dataclass(frozen=True, slots=True)
class Count:
    """So many requests ended in this slice of time (its number since the clock began) with an answer of this
    version."""

    slice: int
    version: str
    requests: int


SLICE = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Track:
    """All that one reader saw, or one visitor, whose lookups are requests.

    A pass is one lookup in each tree, of a visitor a page and a static file, one after the other; `straddled` has the
    times of those that saw more than one version. `changes` has, for each change of version, the lookups around it. Of
    a visitor, `mixed` counts the answers of which not all was of one release, `named` has the version that came under
    each release's name, and `counts` when what was answered; `kinds` says how often which failure was met, `waits` how
    many requests were answered after how many milliseconds (rounded up), and `longest` how many seconds at most
    passed between two good pages.
    """

    name: str
    kind: Kind
    lookups: int
    passes: int
    failed: int
    failures: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    straddled: tuple[float, ...]
    changes: tuple[tuple[Look, ...], ...] = ()
    mixed: int = 0
    named: Mapping[str, str] = field(default_factory=dict)
    counts: tuple[Count, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    waits: tuple[tuple[int, int], ...] = ()
    longest: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Track:
        return cls(
            name=data["name"],
            kind=data["kind"],
            lookups=data["lookups"],
            passes=data["passes"],
            failed=data["failed"],
            failures=tuple(data["failures"]),
            stretches=tuple(Stretch(**stretch) for stretch in data["stretches"]),
            straddled=tuple(data["straddled"]),
            changes=tuple(tuple(Look(**look) for look in change) for change in data["changes"]),
            mixed=data["mixed"],
            named=data["named"],
            counts=tuple(Count(**count) for count in data["counts"]),
            kinds=data["kinds"],
            waits=tuple((milliseconds, requests) for milliseconds, requests in data["waits"]),
            longest=data["longest"],
        )
