"""Which processes of a site run: those of the release that is served, and for `keep_warm` seconds those that serve the
requests of the one before it. All others end, once nobody waits for them any more.

`start` and `retire` bring this about after a switch, `settle` after whatever was interrupted. Each can itself be
interrupted anywhere, and be done again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from treeswap.errors import TreeswapError
from treeswap.process import Process
from treeswap.processes import ProcessManager, Unit, listening
from treeswap.processes.running import socket_path
from treeswap.release import Record, ReleaseId

from . import serving
from .core import Core

_QUIET = 1.0
"""Seconds for which nobody may have waited at a socket before its process is told to stop."""
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Going:
    """A unit that runs and is not to: who runs it, and what it was started as; no record may say that any more."""

    unit: Unit
    manager: ProcessManager
    process: Process

    def stop(self) -> None:
        self.manager.stop(self.unit, self.process.drain_timeout)


def start(core: Core, record: Record) -> None:
    """Starts what the release that is current has and does not run yet: its workers, above all. Those before them that
    are to end first do. From here on its processes are what starts with the machine. Under `switch.lock`. `Failed`."""
    wanted = [running.unit for running in serving.runnings(core, record)]
    first = {process.name for process in record.processes if process.stop == "first" and not process.has_socket}
    for going in find_going(core):
        if going.unit.process in first:
            going.stop()
    managers = _managers(core)
    if wanted:
        manager = managers[str(record.process_manager)]
        manager.install(record.processes)
        there = manager.running()
        for unit in wanted:
            if unit not in there:
                core.tell("start", note=f"starting {unit}")
                manager.start(unit)
    for kind, manager in managers.items():
        manager.at_boot(wanted if kind == record.process_manager else [])


def retire(core: Core) -> list[str]:
    """Ends what is not to run any more, as soon as nobody waits for it. Gives warnings, and never fails.

    The waiting needs no lock, so that a rollback may come meanwhile: what it went to stays.
    """
    try:
        waited = find_going(core)
        wait_until_drained(waited)
        if not waited:
            return []
        with core.switching("retire"):
            units = {going.unit for going in waited}
            return _stopped([going for going in find_going(core) if going.unit in units])
    except (TreeswapError, OSError) as error:
        return [_left_running(error)]


def settle(core: Core) -> list[str]:
    """What a killed command started for nothing ends, and what is current runs. Gives what was done, in sentences; what
    could not be done is warned of. Under both locks."""
    done: list[str] = []
    try:
        current = core.current_record()
        if current is not None:
            missing = _missing(core, current)
            start(core, current)
            done += [f"started {unit}, which did not run" for unit in missing]
        going = find_going(core, unserved=True)
        wait_until_drained(going)
        for warning in _stopped(going):
            core.tell("recover", note=warning, warning=True)
        done += [f"ended {it.unit}, which is not current" for it in going]
    except (TreeswapError, OSError) as error:
        core.tell("recover", note=_left_running(error), warning=True)
    return done


def plan(core: Core) -> list[str]:
    """What `settle` would do, in sentences."""
    current = core.current_record()
    starts = [f"start {unit}, which does not run" for unit in _missing(core, current)] if current else []
    return starts + [f"end {going.unit}, which is not current" for going in find_going(core, unserved=True)]


def _missing(core: Core, current: Record) -> list[Unit]:
    there = running_units(core)
    return [running.unit for running in serving.runnings(core, current) if running.unit not in there]


# ---------------------------------------------------------------- which are to end


def find_going(core: Core, *, unserved: bool = False) -> list[Going]:
    """What runs and is not to. Processes of a release that was never served may be a deploy's that is under way: they
    are among them only for who holds `deploy.lock` (`unserved`)."""
    records, unreadable = core.ground.records.readable()
    history = core.ground.history()
    stays = _to_run(core, records)
    found = []
    for manager in _managers(core).values():
        for unit in sorted(manager.running(), key=str):
            known = unserved or unit.release in history.served
            if unit not in stays and known and unit.release not in unreadable:
                found.append(Going(unit, manager, _defined(records.get(unit.release), unit.process)))
    return found


def _to_run(core: Core, records: Mapping[ReleaseId, Record]) -> set[Unit]:
    current = core.ground.current()
    units: set[Unit] = set()
    if current in records and current is not None:
        units |= {running.unit for running in serving.runnings(core, records[current])}
    if (warm := warm_release(core, records)) is not None:
        units |= {running.unit for running in serving.runnings(core, warm, serving.sockets(warm))}
    return units


def warm_release(core: Core, records: Mapping[ReleaseId, Record]) -> Record | None:
    """The release that was left last, while a rollback to it is to need no start. One that was left for being bad is
    not to be gone back to."""
    history, current = core.ground.history(), core.ground.current()
    previous = history.previous(current, records)
    if previous is None or history.is_bad(records[previous]) or (left := history.left_at.get(previous)) is None:
        return None
    return records[previous] if (core.clock() - left).total_seconds() < core.settings.keep_warm else None


def running_units(core: Core) -> set[Unit]:
    """All that runs of this site, whatever it is of. `Failed` where a manager cannot be asked."""
    return {unit for manager in _managers(core).values() for unit in manager.running()}


def _managers(core: Core) -> dict[str, ProcessManager]:
    """Whoever may run a process of this site, as its records tell."""
    kinds = {record.process_manager for record in core.ground.records.readable()[0].values() if record.processes}
    return {kind: core.manager(kind) for kind in sorted(filter(None, kinds))}


def _defined(record: Record | None, name: str) -> Process:
    known = [process for process in record.processes if process.name == name] if record else []
    return known[0] if known else Process(name, "{socket}")


# ---------------------------------------------------------------- ending them


def wait_until_drained(going: Sequence[Going]) -> None:
    """Waits until nobody has waited at their sockets for a second, and for none longer than it may take. Where the
    kernel does not tell who waits, so long."""
    started = time.monotonic()
    quiet_since = {it.unit: started for it in going if it.process.has_socket}
    left = [it for it in going if it.unit in quiet_since]
    while left:
        time.sleep(_POLL)
        now = time.monotonic()
        for it in left:
            if listening.queued(socket_path(it.unit)) != 0:
                quiet_since[it.unit] = now
        left = [it for it in left if now - quiet_since[it.unit] < _QUIET and now - started < it.process.drain_timeout]


def _stopped(going: Collection[Going]) -> list[str]:
    """Ends each; gives warnings for those that resist."""
    warnings = []
    for it in going:
        try:
            it.stop()
        except TreeswapError as error:
            warnings.append(f"{it.unit} could not be stopped: {error.message}")
    return warnings


def _left_running(error: Exception) -> str:
    return f"the processes of the site could not all be seen to: {error}; the next change tries again"
