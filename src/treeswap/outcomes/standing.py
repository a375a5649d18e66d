"""How a site stands: what `status` answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from treeswap.release import ReleaseId


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
class MaintenanceMark:
    """The maintenance page, and who has put it up. `deploy` is the release whose migration it is up for; `release` one
    that holds the page, where no web server looks for it, and `before` what was current then. `retry_after` is in
    seconds."""

    why: str
    by: str
    since: datetime
    message: str = "We will be back in a few minutes."
    retry_after: int = 120
    deploy: ReleaseId | None = None
    release: ReleaseId | None = None
    before: ReleaseId | None = None


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """A tree's public path and whether it leads where it must; `problem` says what is wrong."""

    path: Path | None
    ok: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process of the current release: how many of its `instances` run (None: `problem` says why that is not known),
    and where it is reached. `also_of` are other releases that still have it."""

    instances: int
    running: int | None
    manager: str | None
    socket: Path | None
    also_of: tuple[ReleaseId, ...]
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
    processes: Mapping[str, ProcessStatus] = field(default_factory=dict)
    maintenance: MaintenanceMark | None = None
