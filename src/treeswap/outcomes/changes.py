"""What the verbs that change a site did, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from treeswap.release import ReleaseId


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Files and symlinks of a deploy's new versions, by how they came about. `removed` are those that the version
    before had and the new one has not."""

    linked: int = 0
    copied: int = 0
    removed: int = 0

    def __add__(self, other: FileCounts) -> FileCounts:
        return FileCounts(self.linked + other.linked, self.copied + other.copied, self.removed + other.removed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command that changes a site did. `trees` maps each tree to `new` or `kept`; `seconds` each step to its
    duration; `notes` are sentences for a person; `warnings` too, and must be seen."""

    changed: bool
    release: ReleaseId | None
    previous: ReleaseId | None = None
    switched_at: datetime | None = None
    trees: Mapping[str, str] = field(default_factory=dict)
    files: FileCounts = FileCounts()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TreePlan:
    """What a deploy would do to one tree. `state` is `new` or `kept`; `adopts` that its public path is a live directory
    that becomes a link; `only_live` what that directory alone has (paths relative to it, directories end in `/`)."""

    name: str
    state: str
    files: FileCounts = FileCounts()
    bytes: int = 0
    path: Path | None = None
    source: Path | None = None
    joins: bool = False
    adopts: bool = False
    only_live: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command would do: sentences in the order of doing; for a deploy also its trees. Nothing was touched."""

    steps: tuple[str, ...]
    changes: bool
    site: Path | None = None
    trees: tuple[TreePlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a release stays, and why."""

    id: ReleaseId
    keep: bool
    because: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did or would do."""

    decisions: tuple[Decision, ...]
    removed: tuple[ReleaseId, ...]
    warnings: tuple[str, ...] = ()
