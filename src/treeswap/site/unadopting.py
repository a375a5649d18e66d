"""Giving trees back as plain directories: `unadopt`."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from treeswap import adopt as moves
from treeswap import durable, places, recovery, stage
from treeswap.errors import Failed, LaterStepFailed, NoSpace, Overtaken, UsageError
from treeswap.outcomes import Event, Outcome, Plan
from treeswap.release import Record, ReleaseId, Tree, Version

from . import homes
from .core import Core


@dataclass(frozen=True, slots=True)
class _Copy:
    """What takes the place of a public link: an independent copy, which gets its mode when it is there."""

    public: Path
    path: Path
    mode: int


def unadopt(core: Core, name: str | None) -> Outcome:
    """Turns public paths back into plain directories, each an independent copy of what it shows, by one exchange.

    Links to shared paths stay links. The site keeps its releases; the trees leave it.
    """
    with core.changing("unadopt") as notes:
        record = core.current_record()
        current = record.id if record else None
        gone = {tree.name: tree for tree in _named(core, name)}
        copies: dict[str, _Copy] = {}
        warnings: list[str] = []
        given = False
        try:
            for tree in _leaving(core, name, record):
                assert record is not None
                copies[tree.name] = _copied(core, tree, record.versions[tree.name])
            with core.switching("unadopt"):
                if core.ground.current() != current:
                    raise Overtaken("current changed while the copy was made", hint="unadopt again")
                _give_back(core, current, copies, list(gone))
                given = True
        finally:
            # Half-way, the copies are what recovery goes forward with.
            if given or not _begun(copies):
                warnings += _remove(copies)
        homes.remove(core, [core.layout.versions(tree) for tree in gone.values()], gone)
        told = [f"{copy.public} is a plain directory again" for copy in copies.values()]
        return Outcome(
            changed=True,
            release=current,
            switched_at=core.clock(),
            trees=dict.fromkeys(copies, "left"),
            notes=(*notes, *told, f"the releases and shared paths of the site stay at {core.root}"),
            warnings=tuple(warnings),
        )


def _begun(copies: Mapping[str, _Copy]) -> list[Path]:
    """The public paths that are plain directories already."""
    return [copy.public for copy in copies.values() if durable.is_plain_directory(copy.public)]


def _remove(copies: Mapping[str, _Copy]) -> list[str]:
    """What resists is swept by the next change: it must not make a failure of what was done, nor hide another one."""
    warnings = []
    for copy in copies.values():
        try:
            stage.remove(copy.path)
        except (OSError, Failed) as error:
            warnings.append(f"{copy.path} could not be removed: {error}")
    return warnings


def _copied(core: Core, tree: Tree, version: Version) -> _Copy:
    """An independent copy of a version, on disk, on the filesystem of the public path but out of sight."""
    assert tree.path is not None
    source, room = core.layout.version(version), core.layout.versions(tree)
    _check_room(source, room, version)
    path = room / durable.temporary_name("unadopt")
    with durable.Barrier([room]) as barrier:
        try:
            stage.copy(source, path)
            barrier.sync()
        except BaseException:
            with suppress(OSError, Failed):
                stage.remove(path)
            raise
    return _Copy(tree.path, path, stat.S_IMODE(path.stat().st_mode))


def _give_back(core: Core, current: ReleaseId | None, copies: Mapping[str, _Copy], gone: list[str]) -> None:
    """From the intent to the outcome. What has begun goes forward: a signal waits from here on."""
    core.listener(Event("switching"))
    intent = core.ground.journal.intend(
        "unadopt",
        before=current,
        to=None,
        why="unadopt",
        copies={tree: [str(copy.public), str(copy.path)] for tree, copy in copies.items()},
        modes={tree: copy.mode for tree, copy in copies.items()},
    )
    try:
        for copy in copies.values():
            moves.give_back(copy.public, copy.path, copy.mode)
        recovery.forget_trees(core.ground, gone)
        core.ground.journal.outcome(intent, done=True)
    except OSError as error:
        if done := _begun(copies):
            raise LaterStepFailed(
                f"{', '.join(map(str, done))} {'is' if len(done) == 1 else 'are'} given back, but not all was finished",
                hint="mend the disk; `treeswap recover` goes on with it",
                cause=error,
            ) from error
        with suppress(OSError):
            # An intent that stays open is closed by the next change.
            core.ground.journal.outcome(intent, done=False)
        raise


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
