"""Adopting live directories into a site, and giving trees back as plain directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from treeswap import adopt as moves
from treeswap import durable, lease, places, recovery, scan, stage, strays, switch
from treeswap.adopt import Move
from treeswap.errors import DestinationRefused, NoSpace, Overtaken, UsageError
from treeswap.manifest import Manifest
from treeswap.outcomes import Outcome, Plan
from treeswap.release import Record, ReleaseId, Tree, Version

from . import checking
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
    layout, ground = core.layout, core.ground
    before = core.current_record()
    id = reserved or core.reserve(1)[0]
    surveyed = {tree.name: _survey(core, tree) for tree in trees}
    fd = lease.make(layout, id)
    try:
        versions = dict(before.versions) if before else {}
        for tree in trees:
            manifest = surveyed[tree.name]
            written = ground.records.write_manifest(tree.name, id, manifest)
            versions[tree.name] = Version(
                tree.name, id, manifest.digest, written, manifest.files, manifest.bytes, tree.trees_dir, adopted=True
            )
        run = (before.run or before.id) if before else id
        record = Record(
            id, {n: versions[n] for n in core.trees if n in versions}, core.clock(), "adopted", core.by, run=run
        )
        steps = [_move(core, tree, id, allow_gap=allow_gap) for tree in trees]
        switch.make_release(layout, record)
        gap = _carry_out(core, record, before.id if before else None, steps)
    finally:
        os.close(fd)
    return record, _sentences(core, trees, surveyed, record, gap)


def _survey(core: Core, tree: Tree) -> Manifest:
    assert tree.path is not None
    return scan.survey(tree.path, shared=tree.shared, shared_root=core.layout.shared_of(tree), listener=core.listener)


def _move(core: Core, tree: Tree, id: ReleaseId, *, allow_gap: bool) -> Move:
    assert tree.path is not None
    return Move(
        tree.name,
        tree.path,
        core.layout.versions(tree) / id,
        core.layout.public_text(tree.name),
        core.layout.shared_of(tree),
        tree.shared,
        gap=allow_gap and not durable.can_exchange(core.layout.versions(tree)),
    )


def _carry_out(core: Core, record: Record, before: ReleaseId | None, steps: Sequence[Move]) -> float:
    """From the intent to the outcome; gives the longest gap in seconds."""
    layout, ground = core.layout, core.ground
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
        raise failure(error) from error
    recovery.end_adoption(ground, intent, done=True)
    return gap


def _half_adopted(steps: Sequence[Move], stuck: Sequence[Move], error: OSError) -> DestinationRefused:
    """Visitors see what they saw; some of the directories are the site's now, and some are not."""
    done = ", ".join(str(move.public) for move in steps if move not in stuck)
    left = ", ".join(str(move.public) for move in stuck) or "none"
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


# ---------------------------------------------------------------- the commands


def plan_adopt(core: Core, request: Request) -> Plan:
    work = checking.look(core, request)
    plan = checking.plan_of(core, work, switch=False)
    steps = tuple(step for step in plan.steps if step.startswith("adopt")) or ("nothing: no live directory is named",)
    return Plan(steps, bool(work.adopting), core.root, plan.trees)


def unadopt(core: Core, name: str | None) -> Outcome:
    """Turns public paths back into plain directories, each an independent copy of what it shows, by one exchange.

    Links to shared paths stay links. The site keeps its releases; the trees leave it.
    """
    with core.changing("unadopt") as notes:
        record = core.current_record()
        trees = _leaving(core, name, record)
        copies: dict[str, tuple[Path, Path]] = {}
        finished = False
        try:
            for tree in trees:
                assert record is not None and tree.path is not None
                source = core.layout.version(record.versions[tree.name])
                copy = core.layout.versions(tree) / durable.temporary_name("unadopt")
                copies[tree.name] = (tree.path, copy)
                _check_room(source, copy.parent, record.versions[tree.name])
                with durable.Barrier([copy.parent]) as barrier:
                    stage.copy(source, copy)
                    barrier.sync()
                durable.fsync_directory(copy.parent)
            modes = {tree: stat.S_IMODE(copy.stat().st_mode) for tree, (_, copy) in copies.items()}
            with core.switching("unadopt"):
                if core.ground.current() != (record.id if record else None):
                    raise Overtaken("current changed while the copy was made", hint="unadopt again")
                intent = core.ground.journal.intend(
                    "unadopt",
                    before=record.id if record else None,
                    to=None,
                    why="unadopt",
                    copies={tree: [str(public), str(copy)] for tree, (public, copy) in copies.items()},
                    modes=modes,
                )
                for name, (public, copy) in copies.items():
                    moves.give_back(public, copy, modes[name])
                recovery.forget_trees(core.ground, [tree.name for tree in _named(core, name)])
                core.ground.journal.outcome(intent, done=True)
                finished = True
        finally:
            # Half-way, the copies are what recovery goes forward with.
            if finished or not any(durable.is_plain_directory(public) for public, _ in copies.values()):
                for _, copy in copies.values():
                    stage.remove(copy)
        told = [f"{public} is a plain directory again" for public, _ in copies.values()]
        return Outcome(
            changed=True,
            release=record.id if record else None,
            previous=None,
            switched_at=core.clock(),
            trees=dict.fromkeys(copies, "left"),
            notes=(*notes, *told, f"the releases and shared paths of the site stay at {core.root}"),
        )


def plan_unadopt(core: Core, name: str | None) -> Plan:
    record = core.current_record()
    trees = _leaving(core, name, record)
    steps = [f"copy what {tree.path} shows, and put the copy there as a plain directory" for tree in trees]
    return Plan(tuple(steps) or ("forget the trees: none of them is public",), True, core.root)


def _named(core: Core, name: str | None) -> list[Tree]:
    if name is None:
        if not core.trees:
            raise UsageError("the site has no trees", hint=f"{core.root} can be removed, if nothing in it is wanted")
        return list(core.trees.values())
    if name not in core.trees:
        raise UsageError(f"the site has no tree {name!r}", hint=f"it has: {', '.join(core.trees) or 'none'}")
    return [core.trees[name]]


def _leaving(core: Core, name: str | None, record: Record | None) -> list[Tree]:
    """The trees that have a public path to be given back."""
    found = []
    for tree in _named(core, name):
        if tree.path is None or record is None or tree.name not in record.versions:
            continue
        state = places.public_state(tree.path, core.layout, tree.name)
        if state == "ours":
            places.check_parent(tree.path)
            found.append(tree)
    return found


def _check_room(source: Path, room: Path, version: Version) -> None:
    free = os.statvfs(room)
    if version.bytes > free.f_bavail * free.f_frsize:
        raise NoSpace(f"{room} has no room for a copy of {source}", hint="`treeswap prune`, or free some")
