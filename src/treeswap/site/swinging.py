"""The switch of a site: one intent, one rename, one outcome, for deploys, switches and rollbacks alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import datetime

from treeswap import lease, switch
from treeswap.errors import Failed, LaterStepFailed, TreeswapError
from treeswap.outcomes import Event
from treeswap.release import Record, ReleaseId

from . import commanding
from .core import Core, failure


def swing(core: Core, record: Record, why: str, *, bad: Sequence[ReleaseId] = ()) -> datetime:
    """Makes a sealed release current, under `switch.lock`, and gives when.

    `Failed` means that nothing was switched; `LaterStepFailed` that the release is current but that the journal, or the
    disk, did not confirm it.
    """
    layout, ground = core.layout, core.ground
    before = ground.current()
    core.check_homes(record.versions)
    with ExitStack() as stack:
        held = lease.share(layout, record.id)
        if held is None:
            raise Failed(f"the release {record.id} is being removed", hint="`treeswap releases` lists those that exist")
        stack.callback(os.close, held)
        _check_whole(core, record)
        trees = [tree for tree in core.trees.values() if tree.name in record.versions]
        try:
            switch.put_public_links(layout, trees)
            # A signal waits from here on: what it would break off is too short to be worth an open intent.
            core.listener(Event("switching"))
            intent = ground.journal.intend(
                "switch", before=before, to=record.id, why=why, bad=list(bad), good=[record.stands_for]
            )
        except BaseException:
            drop_unused_links(core)
            raise
        try:
            switch.point(layout, record.id)
        except OSError as error:
            _after_a_failed_rename(core, record, intent, error)
        at = core.clock()
        core.listener(Event("switched"))
        try:
            ground.journal.outcome(intent, done=True)
        except OSError as error:
            raise LaterStepFailed(
                f"{record.id} is current, but the journal could not be written",
                hint="mend the disk; the next change completes the journal",
                cause=error,
            )
        return at


def run_after_switch(core: Core, record: Record, previous: ReleaseId | None) -> None:
    """The site's own commands. `LaterStepFailed` if one fails; the others are not run then."""
    held = lease.share(core.layout, record.id) if core.settings.after_switch else None
    try:
        place = commanding.place_of(core, record, previous, held)
        for command in core.settings.after_switch:
            commanding.run(core, "after_switch", command, place, lingers=True)
    except Failed as error:
        hint = f"{error.hint}; to go back: treeswap rollback" if error.hint else "to go back: treeswap rollback"
        raise LaterStepFailed(f"{record.id} is current, but {error.message}", hint=hint, cause=error.cause)
    finally:
        if held is not None:
            lease.let_go(held)


def _check_whole(core: Core, record: Record) -> None:
    for name, version in record.versions.items():
        if not core.layout.version(version).is_dir():
            raise Failed(
                f"the version {version.id} of {name} is missing at {core.layout.version(version)}",
                hint="choose another release: treeswap releases",
            )


def drop_unused_links(core: Core) -> None:
    """The public links that were made for a switch which did not happen. One that resists is left to the next change:
    the failure that is to be told is another one."""
    with suppress(OSError, TreeswapError):
        switch.drop_unused_links(core.layout, core.trees.values(), core.current_record())


def _after_a_failed_rename(core: Core, record: Record, intent: int, error: OSError) -> None:
    """The rename may have happened and only its fsync failed: the link says which."""
    if core.ground.current() == record.id:
        raise LaterStepFailed(
            f"{record.id} is current, but the disk did not confirm that it will be after a power cut",
            hint="look at the disk; `treeswap recover` tries again",
            cause=error,
        )
    drop_unused_links(core)
    core.listener(Event("not-switched"))
    told: TreeswapError = failure(error)
    try:
        core.ground.journal.outcome(intent, done=False)
    except OSError:
        # The intent stays open, and the next change finds that the link did not move.
        pass
    raise told
