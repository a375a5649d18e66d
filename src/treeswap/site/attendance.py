"""Which of a site's processes run at this moment; for whoever asks, who need not be able to change anything."""

from __future__ import annotations

from treeswap.errors import TreeswapError
from treeswap.outcomes import ProcessStatus
from treeswap.processes import Unit
from treeswap.release import ReleaseId

from . import draining, serving
from .core import Core


def statuses(core: Core) -> dict[str, ProcessStatus]:
    """The processes of the current release, and those that still run of others, by name."""
    current, records, _ = core.readable()
    record = records.get(current) if current else None
    running, problem = set[Unit](), None
    try:
        running = draining.running_units(core)
    except TreeswapError as error:
        problem = error.message
    wanted = {it.unit for it in serving.runnings(core, record)} if record else set()
    defined = {process.name: process for process in record.processes} if record else {}
    found = {}
    for name in [*defined, *sorted({unit.process for unit in running} - defined.keys())]:
        here = [unit for unit in wanted if unit.process == name]
        there = {unit.release for unit in running - wanted if unit.process == name}
        found[name] = ProcessStatus(
            instances=len(here),
            running=None if problem else len(running.intersection(here)),
            manager=record.process_manager if record and here else None,
            socket=core.layout.current / "run" / f"{name}.sock" if here and defined[name].has_socket else None,
            also_of=tuple(sorted(there)),
            problem=problem,
        )
    return found


def in_use(core: Core) -> dict[ReleaseId, str]:
    """The releases that processes need, and why. While a manager cannot be asked, every release that has any."""
    records, _ = core.ground.records.readable()
    if not any(record.processes for record in records.values()):
        return {}
    used = {
        record.run: f"its processes are those of {id}"
        for id, record in records.items()
        if record.processes and record.run is not None and record.run != id
    }
    try:
        return used | {unit.release: "its processes run" for unit in draining.running_units(core)}
    except TreeswapError as error:
        unknown = f"whether its processes run is not known: {error.message}"
        return used | {id: unknown for id, record in records.items() if record.processes}
