"""What the verbs of a site answer: values that a person's report and a machine's are both made from.

Each is loaded when it is first asked for: `status` needs few of them, and a dataclass takes a millisecond to make.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .changes import Decision, FileCounts, Outcome, Plan, Pruned, TreePlan
    from .looks import CommandLog, Difference, Finding, LogEntry, Problem, ReleaseRow, TreeDifference, Verified
    from .progress import Event, Listener, silent
    from .standing import HoldMark, LockHolder, MaintenanceMark, ProcessStatus, Status, TreeStatus

_ROOMS = {
    "progress": ("Event", "Listener", "silent"),
    "standing": ("LockHolder", "HoldMark", "MaintenanceMark", "TreeStatus", "ProcessStatus", "Status"),
    "changes": ("FileCounts", "Outcome", "TreePlan", "Plan", "Decision", "Pruned"),
    "looks": ("ReleaseRow", "Problem", "Verified", "TreeDifference", "Difference", "Finding", "LogEntry", "CommandLog"),
}

__all__ = [
    "CommandLog",
    "Decision",
    "Difference",
    "Event",
    "FileCounts",
    "Finding",
    "HoldMark",
    "Listener",
    "LockHolder",
    "LogEntry",
    "MaintenanceMark",
    "Outcome",
    "Plan",
    "Problem",
    "ProcessStatus",
    "Pruned",
    "ReleaseRow",
    "Status",
    "TreeDifference",
    "TreePlan",
    "TreeStatus",
    "Verified",
    "silent",
]


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            value = getattr(import_module(f".{room}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
