"""What a change would do to the processes of a site, as sentences of its plan; nobody is asked."""

from __future__ import annotations

from collections.abc import Sequence

from treeswap.process import Process
from treeswap.release import Record, Settings

from .core import Core


def before_the_switch(processes: Sequence[Process]) -> list[str]:
    """What is started, and what is waited for."""
    return [
        f"start {_counted(process)} of it, and wait until healthy ({process.health_path or process.health_command})"
        for process in processes
        if process.has_socket
    ]


def after_the_switch(core: Core, processes: Sequence[Process], settings: Settings, current: Record | None) -> list[str]:
    """What is asked, what is started then, and what ends."""
    steps = []
    if settings.confirm_url is not None:
        steps.append(f"ask {settings.confirm_url} which release is served")
    elif any(process.has_socket for process in processes):
        steps.append(f"ask through {core.layout.current / 'run'} which release is served")
    old = {process.name: process for process in current.processes} if current else {}
    first = [name for name in old if any(new.name == name and new.stop == "first" for new in processes)]
    first = [name for name in first if not old[name].has_socket]
    steps += [_ended(old[name], current, settings) for name in first]
    steps += [f"start {_counted(process)} of it" for process in processes if not process.has_socket]
    return steps + [_ended(process, current, settings) for name, process in old.items() if name not in first]


def unanswered(core: Core, target: Record, current: Record | None) -> tuple[str, ...]:
    """What answers now, and does not after going to a release that has no such process."""
    there = {process.name for process in target.processes if process.has_socket}
    gone = [process.name for process in current.processes if process.has_socket] if current else []
    sockets = core.layout.current / "run"
    return tuple(
        f"nobody answers at {sockets / name}.sock: {target.id} was deployed without processes.{name}"
        for name in gone
        if name not in there
    )


def _ended(process: Process, current: Record | None, settings: Settings) -> str:
    assert current is not None
    of = f"{_counted(process)} of {current.id}"
    if process.has_socket and settings.keep_warm:
        return f"keep {of} for {settings.keep_warm:g} s"
    return f"end {of}, once nobody waits for it" if process.has_socket else f"end {of}"


def _counted(process: Process) -> str:
    return process.name if process.instances == 1 else f"{process.name} ({process.instances} instances)"
