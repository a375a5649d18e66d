"""What runs processes, restarts those that end, keeps their output, and starts them again after a boot."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from treeswap.process import Process
from treeswap.release import ReleaseId

PROGRAM = (sys.executable, "-P", "-m", "treeswap")
"""How treeswap is called. Without -P a module in the working directory could take its place."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One instance of a process of one release of a site: what a manager runs. `site` is SITE, absolute, resolved."""

    site_name: str
    site: Path
    release: ReleaseId
    process: str
    instance: int = 1

    @property
    def exec_arguments(self) -> list[str]:
        """What treeswap is called with, to become this unit's program."""
        release = ["--site", str(self.site), "--release", self.release]
        return ["exec", *release, "--process", self.process, "--instance", str(self.instance)]

    def __str__(self) -> str:
        return f"{self.process} {self.instance} of {self.release}"


class ProcessManager(Protocol):
    """The processes of one site. Every call may be made while other processes make others; all raise `Failed`, with the
    system's words, where the manager cannot be reached or refuses."""

    name: str
    """`systemd`, `systemd-user` or `supervisor`."""

    def install(self, processes: Collection[Process]) -> None:
        """What starting these needs is in place, durably: unit templates, or a daemon that runs. Idempotent; what other
        releases' processes need stays. Comes before `start`."""

    def start(self, unit: Unit) -> None:
        """Taken on: it was started, and is again whenever it ends, however it ends. Whether it works is not waited for.
        Nothing happens if it runs already."""

    def stop(self, unit: Unit, timeout: float) -> None:
        """Gone: told by SIGTERM, waited for, killed after `timeout` seconds (or its definition's `drain_timeout`, where
        that is less), and all that it started with it. Nothing happens if it does not run."""

    def running(self) -> frozenset[Unit]:
        """What was taken on and not stopped; also what is starting, waits to be started again, or is stopping."""

    def pids(self, unit: Unit) -> frozenset[int]:
        """Its processes, and all that they started; none where it does not run now."""

    def at_boot(self, units: Collection[Unit]) -> None:
        """From here on, durably, just these start when the machine does. Says nothing of what runs now."""

    def remove(self) -> None:
        """Nothing of the site is with this manager any more: no daemon, no units, nothing that starts at boot. Nothing
        of it may run. Nothing happens where nothing was installed."""

    def log(self, unit: Unit, lines: int = 20) -> list[str]:
        """The last lines of its output, oldest first; also of what has ended since."""
