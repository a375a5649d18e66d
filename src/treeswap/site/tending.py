"""The processes of a site, for whoever need not know whether it has any. Most sites have none: then nothing of what
follows is even loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from treeswap.outcomes import ProcessStatus
from treeswap.release import Record, ReleaseId

if TYPE_CHECKING:
    from .core import Core


def has_processes(core: Core) -> bool:
    """Whether any release has processes, or may have: where the records cannot be listed, what follows asks again, and
    tells what that means for it."""
    try:
        return any(record.processes for record in core.ground.records.readable()[0].values())
    except OSError:
        return True


def prepare(core: Core, record: Record) -> None:
    """Starts what serves requests, and waits until it is healthy. `Failed`; nothing that was started runs then."""
    if record.processes:
        from . import serving

        serving.prepare(core, record)


def conclude(core: Core, record: Record, before: ReleaseId | None, *, goes_back: bool) -> str | None:
    """What follows a switch, see `confirming.conclude`; says in a sentence what was seen from outside."""
    if core.settings.confirm_url is None and not has_processes(core):
        from . import swinging

        swinging.run_after_switch(core, record, before)
        return None
    from . import confirming

    return confirming.conclude(core, record, before, goes_back=goes_back)


def retire(core: Core) -> list[str]:
    """Ends what is not to run any more, without `switch.lock`. Gives warnings and never fails."""
    if not has_processes(core):
        return []
    from . import draining

    return draining.retire(core)


def settle(core: Core) -> list[str]:
    """Brings about that what is current runs, and nothing else. Under `deploy.lock`. Gives what was started."""
    if not has_processes(core):
        return []
    from . import draining

    return draining.settle(core)


def plan_settle(core: Core) -> list[str]:
    """What `settle` would start and end, in sentences. `Failed` where that cannot be asked."""
    if not has_processes(core):
        return []
    from . import draining

    return draining.plan(core)


def statuses(core: Core) -> Mapping[str, ProcessStatus]:
    """The processes by name, and how many of each run."""
    if not has_processes(core):
        return {}
    from . import attendance

    return attendance.statuses(core)


def in_use(core: Core) -> dict[ReleaseId, str]:
    """The releases that processes need, and why."""
    if not has_processes(core):
        return {}
    from . import attendance

    return attendance.in_use(core)
