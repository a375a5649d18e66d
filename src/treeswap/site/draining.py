"""Which processes of a site run: those of the release that is served, and for `keep_warm` seconds those that serve the
requests of the one before it. All others end, once nobody waits for them any more.

`start` and `retire` bring this about after a switch, `settle` after whatever was interrupted. Each can itself be
interrupted anywhere, and be done again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from treeswap.errors import TreeswapError
from treeswap.process import Process
from treeswap.processes import ProcessManager, Unit, listening
from treeswap.processes.running import socket_path
from treeswap.release import Record, ReleaseId

from . import ending, serving
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


def start(core: Core, record: Record) -> list[Unit]:
    """Starts what the release that is current has and does not run yet, its workers above all, and gives that. From
    here on its processes are what starts with the machine. Under `switch.lock`. `Failed`."""
    wanted = list(serving.runnings(core, record))
    started = serving.start(core, record, wanted) if wanted else []
    for kind, manager in _managers(core).items():
        manager.at_boot([running.unit for running in wanted] if kind == record.process_manager else [])
    return started


def end_first(core: Core, record: Record) -> list[str]:
    """Ends those workers of other releases that are to end before this one's start. As `retire`."""
    return retire(core, names=[p.name for p in record.processes if p.stop == "first" and not p.has_socket])


def retire(core: Core, *, names: Collection[str] | None = None, unserved: bool = False) -> list[str]:
    """Ends what is not to run any more, as soon as nobody waits for it. Gives warnings, and never fails.

    The waiting and the ending need no lock, so that a rollback may come meanwhile: what it went to stays. `names` are
    of the processes to look at, if not all; `unserved`: see `find_going`.
    """
    warnings = []
    try:
        waited = [it for it in find_going(core, unserved=unserved) if names is None or it.unit.process in names]
        wait_until_drained(waited)
        for it in waited:
            if trouble := _end(core, it, unserved=unserved):
                warnings.append(trouble)
    except (TreeswapError, OSError) as error:
        warnings.append(_left_running(error))
    return warnings


def _end(core: Core, it: Going, *, unserved: bool) -> str | None:
    """Ends one, if it is still to end and nobody else does it. Gives what is to be warned of."""
    with ExitStack() as claim:
        with core.switching("retire"):
            still = {other.unit for other in find_going(core, unserved=unserved)}
            if it.unit not in still or not ending.claimed(core, it.unit, claim):
                return None
        core.tell("retire", note=f"ending {it.unit}")
        try:
            it.manager.stop(it.unit, it.process.drain_timeout)
        except TreeswapError as error:
            return f"{it.unit} could not be stopped: {error.message}"
    return None


def settle(core: Core) -> list[str]:
    """What is current runs, and what a killed command started for nothing ends. Gives what was done, in sentences;
    what could not be done is warned of. Under `deploy.lock`."""
    done: list[str] = []
    try:
        if (current := core.current_record()) is not None:
            serving.wait_for_ends(core, list(serving.runnings(core, current)))
        with core.switching("recover"):
            current = core.current_record()
            started = start(core, current) if current else []
        done += [f"started {unit}, which did not run" for unit in started]
        going = find_going(core, unserved=True)
        warnings = retire(core, unserved=True) if going else []
        left = running_units(core)
        done += [f"ended {it.unit}, which is not current" for it in going if it.unit not in left]
    except (TreeswapError, OSError) as error:
        warnings = [_left_running(error)]
    for warning in warnings:
        core.tell("recover", note=warning, warning=True)
    return done


def plan(core: Core) -> list[str]:
    """What `settle` would do, in sentences."""
    current, there = core.current_record(), running_units(core)
    wanted = [running.unit for running in serving.runnings(core, current)] if current else []
    starts = [f"start {unit}, which does not run" for unit in wanted if unit not in there]
    return starts + [f"end {going.unit}, which is not current" for going in find_going(core, unserved=True)]


# ---------------------------------------------------------------- which are to end


def find_going(core: Core, *, unserved: bool = False) -> list[Going]:
    """What runs and is not to; first what serves requests, since others may take long. Processes of a release that was
    never served may be a deploy's that is under way: they are among these only for who holds `deploy.lock`
    (`unserved`)."""
    current, records, unreadable = core.readable()
    if current is not None and current not in records:
        return []  # what is served has no record that tells what is to run
    history, stays = core.ground.history(), _to_run(core, current, records)
    found = []
    for manager in _managers(core).values():
        for unit in sorted(manager.running(), key=str):
            known = unserved or unit.release in history.served
            if unit not in stays and known and unit.release not in unreadable:
                found.append(Going(unit, manager, _defined(records.get(unit.release), unit.process)))
    return sorted(found, key=lambda it: not it.process.has_socket)


def _to_run(core: Core, current: ReleaseId | None, records: Mapping[ReleaseId, Record]) -> set[Unit]:
    units: set[Unit] = set()
    if current is not None:
        units |= {running.unit for running in serving.runnings(core, records[current])}
    if (warm := _warm(core, current, records)) is not None:
        units |= {running.unit for running in serving.runnings(core, warm, serving.sockets(warm))}
    return units


def _warm(core: Core, current: ReleaseId | None, records: Mapping[ReleaseId, Record]) -> Record | None:
    """The release that was left last, while a rollback to it is to need no start. One that was left for being bad is
    not to be gone back to."""
    history = core.ground.history()
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


def _left_running(error: Exception) -> str:
    return f"the processes of the site could not all be seen to: {error}; the next change tries again"
