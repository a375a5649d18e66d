"""What one reader saw: few numbers for millions of lookups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
class Track:
    """All that one reader saw. A pass is one lookup in each tree, one after the other; `straddled` has the times of
    those that saw more than one version. `changes` has, for each change of version, the lookups around it."""

    name: str
    pinned: bool
    lookups: int
    passes: int
    failed: int
    failures: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    straddled: tuple[float, ...]
    changes: tuple[tuple[Look, ...], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Track:
        return cls(
            name=data["name"],
            pinned=data["pinned"],
            lookups=data["lookups"],
            passes=data["passes"],
            failed=data["failed"],
            failures=tuple(data["failures"]),
            stretches=tuple(Stretch(**stretch) for stretch in data["stretches"]),
            straddled=tuple(data["straddled"]),
            changes=tuple(tuple(Look(**look) for look in change) for change in data["changes"]),
        )
