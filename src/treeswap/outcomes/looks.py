"""What the verbs that look into a site found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from treeswap.release import Record, ReleaseId


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
    """One thing that `check` looked at. `ok` None means: could not be told from here. A `warning` stops no deploy."""

    what: str
    ok: bool | None
    detail: str
    hint: str | None = None
    warning: bool = False


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
