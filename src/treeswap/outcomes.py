"""What the verbs of a site answer: values that a person's report and a machine's are both made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .release import Record, ReleaseId


@dataclass(frozen=True, slots=True)
class Event:
    """Progress: `step` is the story's word (check, stage, seal, adopt, switch, retire, verify …); `done` of `total`
    counts files where that is known. `note` is a sentence for a person; a `warning` is one that must be seen."""

    step: str
    tree: str | None = None
    done: int = 0
    total: int | None = None
    note: str | None = None
    warning: bool = False


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener of whoever does not listen."""


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


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a lock: `pid` and `by` are None where that cannot be known from here."""

    lock: str
    pid: int | None
    by: str | None
    since: datetime | None
    doing: str | None

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid else "another process"
        return (
            who
            + (f" of {self.by}" if self.by else "")
            + (f", {self.doing}" if self.doing else "")
            + (f", since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "")
        )


@dataclass(frozen=True, slots=True)
class HoldMark:
    """A hold put on a site by hand."""

    why: str
    by: str
    since: datetime


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """A tree's public path and whether it leads where it must; `problem` says what is wrong."""

    path: Path | None
    ok: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """`state` is `rest`, `changing` or `interrupted`; `interrupted` says what was, and `advice` what to type."""

    site: Path
    name: str
    current: ReleaseId | None
    previous: ReleaseId | None
    rollback_to: ReleaseId | None
    state: str
    lock: LockHolder | None
    hold: HoldMark | None
    trees: Mapping[str, TreeStatus]
    interrupted: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as `releases` lists it. `state` is `current`, `previous`, `ready`, `bad` or `adopted`; `dirs` maps
    trees to the directory of their version."""

    record: Record
    state: str
    dirs: Mapping[str, Path]
    kept_because: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """A difference between what was sealed and what is there. `kind` is `missing`, `added`, `changed` or `damaged`;
    `path` is relative to the version (None: the version, its manifest or the record as a whole)."""

    tree: str | None
    version: ReleaseId | None
    kind: str
    path: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """`versions` counts the versions read, `files` and `bytes` what was read in them."""

    problems: tuple[Problem, ...]
    versions: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TreeDifference:
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What `b` has that `a` has not, by tree."""

    a: ReleaseId
    b: ReleaseId
    trees: Mapping[str, TreeDifference]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` looked at. `ok` None means: could not be told from here."""

    what: str
    ok: bool | None
    detail: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the site's history: when, what, and the release concerned."""

    at: datetime
    what: str
    release: ReleaseId | None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class CommandLog:
    """The kept output of one command of a release."""

    release: ReleaseId
    name: str
    text: str
