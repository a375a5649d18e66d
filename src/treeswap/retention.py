"""Which releases stay, each with a reason. Pure: what `prune -n` prints is what `prune` carries out.

Never decided by an mtime or by the order of a directory. A release that is bad, or was never served, does not take the
place of a good one among the `keep`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .history import History
from .outcomes import Decision
from .release import Record, ReleaseId


@dataclass(frozen=True, slots=True)
class Policy:
    """`keep` good releases, and any for `grace` seconds after it was left; `named` releases go whatever retention says,
    if nothing needs them."""

    keep: int
    grace: float
    named: frozenset[ReleaseId] = frozenset()


def decide(
    records: Mapping[ReleaseId, Record],
    history: History,
    policy: Policy,
    *,
    now: datetime,
    current: ReleaseId | None,
    rollback_to: ReleaseId | None,
    in_use: Mapping[ReleaseId, str],
    strays: Callable[[ReleaseId], str | None],
) -> list[Decision]:
    """A decision for each release, newest first. `in_use` and `strays` say who or what needs a release; `strays` is
    asked about one that nothing else keeps only, since it has to look."""
    good = _newest_good(records, history, policy.keep)
    decisions = []
    for id in sorted(records, reverse=True):
        because = _needed(id, current, rollback_to, in_use) or _in_grace(id, history, policy.grace, now)
        if because is None and id not in policy.named:
            because = _kept(records[id], current, good, policy.keep, history, strays)
        decisions.append(Decision(id, because is not None, because or _gone(records[id], history, policy)))
    return decisions


def _needed(
    id: ReleaseId, current: ReleaseId | None, rollback_to: ReleaseId | None, in_use: Mapping[ReleaseId, str]
) -> str | None:
    if id == current:
        return "current"
    if id == rollback_to:
        return "a rollback would go to it"
    return in_use.get(id)


def _in_grace(id: ReleaseId, history: History, grace: float, now: datetime) -> str | None:
    left = history.left_at.get(id)
    if left is None:
        return None
    # A clock that was set back must not shorten the grace; nor make it endless, where there is none.
    ago = max((now - left).total_seconds(), 0.0)
    return f"left {ago:.0f} s ago, grace {grace:g} s" if ago < grace else None


def _kept(
    record: Record,
    current: ReleaseId | None,
    good: Sequence[ReleaseId],
    keep: int,
    history: History,
    strays: Callable[[ReleaseId], str | None],
) -> str | None:
    if record.kind == "adopted":
        return "adopted: goes only when named"
    if record.id in good:
        return f"one of the {keep} newest good"
    if record.id not in history.served and (current is None or record.id > current):
        return "ready: never served, newer than current"
    return strays(record.id)


def _newest_good(records: Mapping[ReleaseId, Record], history: History, keep: int) -> list[ReleaseId]:
    served = set(history.served)
    good = [id for id in sorted(records, reverse=True) if id in served and not history.is_bad(records[id])]
    return [id for id in good if records[id].kind != "adopted"][:keep]


def _gone(record: Record, history: History, policy: Policy) -> str:
    if record.id in policy.named:
        return "named"
    if history.is_bad(record):
        return "bad"
    return "never served" if record.id not in history.served else f"older than the {policy.keep} newest good"
