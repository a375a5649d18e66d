"""What the journal says, folded into one value: what was served, what is bad, what is open. No disk.

Which release is current is the link's to say, never the history's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from .release import Record, ReleaseId, Tree


@dataclass(frozen=True, slots=True)
class Intent:
    """A change that was begun: `what` is `switch`, `adopt` or `unadopt`; `details` are what recovery needs of it."""

    number: int
    what: str
    at: datetime
    before: ReleaseId | None
    to: ReleaseId | None
    why: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration that was begun for a release; `done` is None where what came of it is not known."""

    release: ReleaseId
    command: str
    done: bool | None = None


@dataclass(slots=True)
class History:
    """The fold. `served` in order of serving, without repetitions side by side; `left_at` when a release last ceased to
    be current; `bad` holds what releases stand for; `damaged` (tree, version) pairs that `verify` found damaged;
    `gone_after` the highest id when a tree last left the site; `copied` how many of `served` there were when a shared
    path (tree, path) was made of what was served in its place; `migrations` in the order in which they were begun."""

    highest: ReleaseId | None = None
    served: list[ReleaseId] = field(default_factory=list)
    bad: set[ReleaseId] = field(default_factory=set)
    left_at: dict[ReleaseId, datetime] = field(default_factory=dict)
    damaged: set[tuple[str, ReleaseId]] = field(default_factory=set)
    gone_after: dict[str, ReleaseId] = field(default_factory=dict)
    copied: dict[tuple[str, str], int] = field(default_factory=dict)
    migrations: list[Migration] = field(default_factory=list)
    open: Intent | None = None

    def copy(self) -> History:
        """A history that what becomes of this one does not change."""
        return replace(
            self,
            served=self.served.copy(),
            bad=self.bad.copy(),
            left_at=self.left_at.copy(),
            damaged=self.damaged.copy(),
            gone_after=self.gone_after.copy(),
            copied=self.copied.copy(),
            migrations=self.migrations.copy(),
        )

    def reserve(self, id: ReleaseId) -> None:
        self.highest = max(self.highest or id, id)

    def serve(self, id: ReleaseId, at: datetime) -> None:
        """`id` became current at this time."""
        if self.served and self.served[-1] == id:
            return
        if self.served:
            self.left_at[self.served[-1]] = at
        self.left_at.pop(id, None)
        self.served.append(id)
        self.reserve(id)

    def carry_out(self, intent: Intent, at: datetime) -> None:
        """What a change that was begun is known to have come to."""
        if intent.what == "unadopt" and self.highest is not None:
            self.gone_after.update(dict.fromkeys(intent.details.get("copies", ()), self.highest))
        if intent.what == "unadopt" or intent.to is None:
            return
        self.serve(intent.to, at)
        self.bad.update(intent.details.get("bad", ()))
        self.bad.difference_update(intent.details.get("good", ()))

    def migrated(self, *, done: bool) -> None:
        """The migration that was begun last has ended."""
        if self.migrations:
            self.migrations[-1] = replace(self.migrations[-1], done=done)

    def agree_with(self, current: ReleaseId | None, at: datetime) -> None:
        """Lets the link correct the journal, as recovery will: an open switch that happened, a link moved by hand."""
        if self.open and self.open.what != "unadopt" and self.open.to == current:
            self.carry_out(self.open, at)
        if current:
            self.serve(current, at)

    def previous(self, current: ReleaseId | None, records: Mapping[ReleaseId, Record]) -> ReleaseId | None:
        """The release that was served before the current one and still exists."""
        for id in reversed(self.served):
            if id != current and id in records:
                return id
        return None

    def is_bad(self, record: Record) -> bool:
        return record.stands_for in self.bad

    def has_brought(self, tree: str, records: Mapping[ReleaseId, Record]) -> bool:
        """Whether a release brought a tree since it last joined the site: one from before it left does not count."""
        left = self.gone_after.get(tree, "")
        return any(tree in record.versions and record.id > left for record in records.values())


def rollback_target(
    current: ReleaseId, records: Mapping[ReleaseId, Record], history: History, trees: Mapping[str, Tree]
) -> Record | None:
    """Where a rollback goes: the newest earlier release that was served, is not bad and has other versions or other
    processes.

    "Earlier" and "newest" are of what the releases stand for, so that one which repeats an older one takes its place.
    Where the current release has no record that can be read, it stands for itself, and any other is another one.
    """
    now = records.get(current)
    place = now.stands_for if now else current
    served = set(history.served)
    candidates = [
        record
        for record in records.values()
        if record.id in served
        and record.stands_for < place
        and not history.is_bad(record)
        and not (now and _nothing_else(record, now, trees))
    ]
    return max(candidates, key=lambda record: (record.stands_for, record.id), default=None)


def _nothing_else(record: Record, now: Record, trees: Mapping[str, Tree]) -> bool:
    """Whether going to `record` would show what is shown now; a tree that it lacks keeps its version."""
    shared = [name for name in trees if name in now.versions and name in record.versions]
    return record.processes == now.processes and all(record.version_id(name) == now.version_id(name) for name in shared)


def bad_after(target: Record, records: Mapping[ReleaseId, Record], history: History) -> list[ReleaseId]:
    """What a rollback to `target` marks: whatever was served and stands for something later."""
    served = {records[id].stands_for if id in records else id for id in history.served}
    return sorted(id for id in served if id > target.stands_for)
