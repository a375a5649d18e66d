"""After the switch: the site's commands, the look from outside, and the way back where that shows something else."""

from __future__ import annotations

from treeswap.errors import LaterStepFailed, SwitchedBack, TreeswapError
from treeswap.release import Record, ReleaseId

from . import draining, serving, swinging
from .core import Core, failure


def conclude(core: Core, record: Record, before: ReleaseId | None, *, goes_back: bool) -> str | None:
    """Runs `after_switch`, sees that this release is served, and starts its workers. Says in a sentence what was seen.

    `SwitchedBack` where something else is served and `goes_back`; `LaterStepFailed` for everything else that goes
    wrong, after all that can be done was done.
    """
    troubles: list[LaterStepFailed] = []
    seen = None
    try:
        swinging.run_after_switch(core, record, before)
    except LaterStepFailed as error:
        troubles.append(error)
    try:
        seen = serving.confirm(core, record)
    except serving.NotConfirmed as unseen:
        if goes_back and before is not None:
            raise _gone_back(core, record, before, unseen)
        troubles.append(_unconfirmed(record, f"it was not confirmed: {unseen}", "treeswap rollback"))
    for warning in draining.end_first(core, record):
        core.tell("confirm", note=warning, warning=True)
    try:
        serving.wait_for_ends(core, list(serving.runnings(core, record)))
        with core.switching("start"):
            if is_current := core.ground.current() == record.id:  # else somebody has rolled back meanwhile
                draining.start(core, record)
        if is_current:
            serving.await_workers(core, record)
    except (TreeswapError, OSError) as error:
        told = failure(error) if isinstance(error, OSError) else error
        troubles.append(_unconfirmed(record, f"not all of its processes run: {told.message}", told.hint))
    if troubles:
        for warning in draining.retire(core):
            core.tell("retire", note=warning, warning=True)
        raise troubles[0]
    return seen


def _unconfirmed(record: Record, what: str, hint: str | None) -> LaterStepFailed:
    return LaterStepFailed(f"{record.id} is current, but {what}", hint=hint)


def _gone_back(core: Core, record: Record, before: ReleaseId, unseen: serving.NotConfirmed) -> TreeswapError:
    """Makes the release before current again, and gives the error that tells so."""
    said = _last_words(core, record)
    told = f"{record.id} was not confirmed: {unseen}"
    try:
        with core.switching("switch back"):
            if (now := core.ground.current()) != record.id:
                return SwitchedBack(f"{told}; {now} was made current meanwhile", cause=said)
            old = core.ground.records.find(before)
            if old is None:
                return _unconfirmed(record, f"it was not confirmed: {unseen}", "treeswap releases lists the others")
            swinging.swing(core, old, "switch back", bad=[record.stands_for])
            draining.start(core, old)
        swinging.run_after_switch(core, old, record.id)
    except TreeswapError as error:
        if core.ground.current() == record.id:
            trouble = f"it was not confirmed ({unseen}), and {before} could not be switched to: {error.message}"
            return _unconfirmed(record, trouble, "treeswap rollback")
        core.tell("confirm", note=f"{before} is current again, but {error.message}", warning=True)
    for warning in draining.retire(core):
        core.tell("retire", note=warning, warning=True)
    return SwitchedBack(
        f"{told}; {before} is current again",
        hint=f"mend the application and deploy again; {record.id} is marked bad, and its output is in: "
        f"treeswap log {record.id}",
        cause=said,
    )


def _last_words(core: Core, record: Record) -> str | None:
    """What those of its processes said last that serve requests, before they end."""
    lines = []
    for running in serving.runnings(core, record, serving.sockets(record)):
        lines += serving.log(serving.manager_of(core, record), running.unit)
    return "\n".join(lines) or None
