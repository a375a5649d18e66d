"""Adopting live directories into a site, and giving trees back as plain directories."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from treeswap import adopt as moves
from treeswap import durable, lease, recovery, scan, strays, switch
from treeswap.adopt import Move
from treeswap.errors import DestinationRefused, LaterStepFailed, TreeswapError
from treeswap.manifest import Manifest
from treeswap.outcomes import Event, Plan
from treeswap.release import Record, ReleaseId, Tree, Version

from . import checking, planning, pruning
from .core import Core, failure
from .request import Request

_WAYS_OUT = (
    "with --allow-gap the directory is moved by two renames, and is missing in between; "
    "or leave the public path out and serve the tree at SITE/current/NAME"
)


def probe(core: Core, trees: Sequence[Tree], *, allow_gap: bool) -> None:
    """Finds out, without moving anything, whether these live directories can be adopted. `DestinationRefused`."""
    for tree in trees:
        assert tree.path is not None
        room = core.layout.versions(tree)
        if (refusal := durable.refusal_to_move(tree.path, room)) is not None:
            raise DestinationRefused(
                f"{tree.path} cannot be moved into {room}, and so cannot be adopted", hint=_WAYS_OUT, cause=refusal
            )
        if not allow_gap and not durable.can_exchange(room):
            raise DestinationRefused(
                f"the filesystem of {tree.path} cannot exchange a directory and a link in one step", hint=_WAYS_OUT
            )


def adopt(
    core: Core, trees: Sequence[Tree], reserved: ReleaseId | None, *, allow_gap: bool
) -> tuple[Record, list[str]]:
    """Makes the live directories the versions of a release of kind `adopted`, which is current then; gives its record
    and sentences for a person. Under `switch.lock`.

    Nothing is copied, and the public paths show the same before and after. Fails before the first directory moves, or
    goes forward.
    """
    layout = core.layout
    before = core.current_record()
    if reserved is None or reserved in core.ground.records.ids():
        # There already, where another of the directories resisted once, and is tried again now.
        reserved = core.reserve(1)[0]
    id = reserved
    surveyed = {tree.name: _survey(core, tree) for tree in trees}
    if not lease.is_held(layout, id):
        # The id was reserved with that of the release to go to: an attempt that died may have used it before.
        _discard(core, id, trees)
    fd = lease.make(layout, id)
    try:
        with durable.Barrier([core.root, *(layout.versions(tree) for tree in trees)]) as barrier:
            record = _made(core, trees, id, surveyed, before)
            steps = [_move(core, tree, id, allow_gap=allow_gap) for tree in trees]
            barrier.sync()
        gap = _carry_out(core, record, before.id if before else None, steps)
    except BaseException:
        _discard(core, id, trees)
        raise
    finally:
        os.close(fd)
    return record, _sentences(core, trees, surveyed, record, gap)


def has_adopted(core: Core, trees: Iterable[Tree]) -> bool:
    """Whether a live directory of these is the site's now: also one that was adopted before another one resisted."""
    return any(
        tree.path is not None and durable.leads_through(tree.path, core.layout.public_text(tree.name)) for tree in trees
    )


def not_finished(core: Core, error: OSError | DestinationRefused) -> LaterStepFailed:
    """What to tell of an adoption that has adopted something, and met this."""
    if isinstance(error, DestinationRefused):
        return LaterStepFailed(error.message, hint=error.hint, cause=error.cause)
    return LaterStepFailed(
        f"{core.ground.current()} is current, but its adoption could not be finished",
        hint="mend the disk; `treeswap recover` goes on with it",
        cause=error,
    )


def _made(
    core: Core, trees: Sequence[Tree], id: ReleaseId, surveyed: Mapping[str, Manifest], before: Record | None
) -> Record:
    """Everything of the adopted release but its record, which is given; not durable by itself."""
    versions = dict(before.versions) if before else {}
    for tree in trees:
        manifest = surveyed[tree.name]
        written = core.ground.records.write_manifest(tree.name, id, manifest)
        versions[tree.name] = Version(
            tree.name, id, manifest.digest, written, manifest.files, manifest.bytes, tree.trees_dir, adopted=True
        )
    run = (before.run or before.id) if before else id
    record = Record(
        id,
        {n: versions[n] for n in core.trees if n in versions},
        core.clock(),
        "adopted",
        core.by,
        run=run,
        processes=before.processes if before else (),
        process_manager=before.process_manager if before else None,
    )
    switch.make_release(core.layout, record)
    return record


def _discard(core: Core, id: ReleaseId, trees: Sequence[Tree]) -> None:
    """Takes away what was made for an adoption that has not begun. What resists is swept by the next change."""
    ground = core.ground
    with suppress(OSError, TreeswapError):
        if id in ground.records.ids() or ground.journal.history().open is not None:
            return
        for tree in trees:
            durable.remove_file(core.layout.manifest(tree.name, id))
        pruning.remove_files(core, id, {})


def _survey(core: Core, tree: Tree) -> Manifest:
    assert tree.path is not None
    return scan.survey(tree.path, shared=tree.shared, shared_root=core.layout.shared_of(tree), listener=core.listener)


def _move(core: Core, tree: Tree, id: ReleaseId, *, allow_gap: bool) -> Move:
    gap = allow_gap and not durable.can_exchange(core.layout.versions(tree))
    return Move.into(core.layout, tree, id, gap=gap)


def _carry_out(core: Core, record: Record, before: ReleaseId | None, steps: Sequence[Move]) -> float:
    """From the intent to the outcome; gives the longest gap in seconds."""
    layout, ground = core.layout, core.ground
    # What has begun goes forward: a signal waits from here on.
    core.listener(Event("switching"))
    intent = ground.journal.intend(
        "adopt", before=before, to=record.id, why="adopt", moves=[move.details() for move in steps]
    )
    try:
        durable.replace_file(layout.moving, f"{record.id}\n".encode(), 0o644)
        ground.records.write(record)
        switch.point(layout, record.id)
        for move in steps:
            moves.put_slot(move)
        gap = 0.0
        for move in steps:
            gap = max(gap, moves.carry_out(move))
    except OSError as error:
        if any(moves.is_begun(move) for move in steps):
            stuck = recovery.finish_adoption(ground, intent, record.id, steps)
            raise _half_adopted(steps, stuck, error) from error
        recovery.take_back_adoption(ground, intent, before, record.id, steps)
        core.listener(Event("not-switched"))
        raise failure(error) from error
    recovery.end_adoption(ground, intent, done=True)
    return gap


def _half_adopted(steps: Sequence[Move], stuck: Sequence[Move], error: OSError) -> DestinationRefused:
    """Visitors see what they saw; some of the directories are the site's now, and some are not."""
    done = ", ".join(str(move.public) for move in steps if move not in stuck)
    left = ", ".join(str(move.public) for move in stuck)
    if not left:
        return DestinationRefused(
            f"an adoption failed, and went well when it was tried again: {done} is a public path now",
            hint="look at the disk, then deploy again",
            cause=error,
        )
    return DestinationRefused(
        f"not every directory could be adopted: {left} stayed as it was, {done} is a public path now",
        hint=_WAYS_OUT,
        cause=error,
    )


def _sentences(
    core: Core, trees: Sequence[Tree], surveyed: dict[str, Manifest], record: Record, gap: float
) -> list[str]:
    notes = [f"adopted {tree.path}: what was there is release {record.id} now" for tree in trees]
    if gap:
        notes.append(f"a public path was missing for {gap * 1e6:.0f} µs while its directory was moved")
    for tree in trees:
        version = record.versions[tree.name]
        late = strays.find(core.layout.version(version), surveyed[tree.name], tree.ignore)
        notes += [f"{tree.name}/{path} appeared while {tree.path} was being adopted" for path in late[:10]]
    for note in notes:
        core.tell("adopt", note=note)
    return notes


def plan_adopt(core: Core, request: Request) -> Plan:
    work = checking.look(core, request)
    plan = planning.plan_of(core, work, switch=False)
    steps = tuple(planning.adoption_steps(work)) or ("nothing: no live directory is named",)
    return Plan(steps, bool(work.adopting), core.root, plan.trees)
