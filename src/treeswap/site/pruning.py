"""Carrying out retention: what no rule keeps goes, record first, files last."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from treeswap import durable, lease, leftovers, occupants, retention, stage
from treeswap.errors import Damaged, Failed, TreeswapError, UsageError
from treeswap.history import rollback_target
from treeswap.manifest import Manifest
from treeswap.outcomes import Decision, Pruned
from treeswap.release import Record, ReleaseId, Version
from treeswap.retention import Policy

from . import homes, straying, tending
from .core import Core


def decide(core: Core, policy: Policy, manifest: Callable[[Version], Manifest] | None = None) -> list[Decision]:
    """What would stay and what would go, with the reasons; touches nothing. `manifest` gives those of versions to
    somebody who needs them afterwards, too."""
    records = core.ground.records.all()
    history = core.ground.history()
    current = core.ground.current()
    target = rollback_target(current, records, history, core.trees) if current in records and current else None
    return retention.decide(
        records,
        history,
        policy,
        now=core.clock(),
        current=current,
        rollback_to=target.id if target else None,
        in_use=_in_use(core, records),
        strays=_strays_of(core, records, manifest or core.ground.records.manifest),
    )


def prune(core: Core, named: Sequence[str], *, keep: int | None, grace: float | None) -> Pruned:
    """Removes the releases that nothing keeps, and the versions that only they name. Under `deploy.lock`."""
    policy = policy_of(core, named, keep=keep, grace=grace)
    held: dict[ReleaseId, int] = {}
    removed: tuple[ReleaseId, ...] = ()
    try:
        with core.switching("prune"):
            decisions = decide(core, policy)
            refuse_needed(decisions, policy)
            records = core.ground.records.all()
            held = take_leases(core, [decision.id for decision in decisions if not decision.keep])
            if held:
                core.ground.records.remove(held)
                removed = tuple(sorted(held, reverse=True))
                core.ground.journal.append("removed", ids=removed)
        warnings = remove_all(core, records, held)
    finally:
        for fd in held.values():
            os.close(fd)
    return Pruned(tuple(decisions), removed, tuple(warnings))


def after_a_deploy(core: Core) -> list[str]:
    """The prune that ends a deploy; gives warnings and never fails."""
    try:
        return list(prune(core, (), keep=None, grace=None).warnings)
    except (TreeswapError, OSError) as error:
        return [f"old releases could not be pruned: {error}"]


def policy_of(core: Core, named: Sequence[str], *, keep: int | None, grace: float | None) -> Policy:
    ids = frozenset(core.find_release(token).id for token in named)
    keep = core.settings.keep_releases if keep is None else keep
    if keep < 1:
        raise UsageError("at least one release must be kept", hint="--keep 1")
    return Policy(keep, core.settings.grace if grace is None else grace, ids)


def refuse_needed(decisions: Sequence[Decision], policy: Policy) -> None:
    """A release that was named and is needed is an error, not a silence."""
    for decision in decisions:
        if decision.id in policy.named and decision.keep:
            raise UsageError(
                f"{decision.id} cannot be removed: {decision.because}",
                hint="`treeswap releases` says why each release is kept",
            )


def remove_files(core: Core, id: ReleaseId, versions: Mapping[str, Path]) -> None:
    """Removes what a release without a record has left: its links, its own versions, its lease last."""
    layout = core.layout
    for path in (layout.release(id), layout.run(id), layout.log(id)):
        stage.remove(path)
    for tree, directory in versions.items():
        stage.remove(directory)
        remove_manifests(core, tree, id)
    durable.remove_file(layout.lease(id))


def remove_manifests(core: Core, tree: str, id: ReleaseId) -> None:
    for path in (core.layout.manifest(tree, id), core.layout.sourced(tree, id)):
        durable.remove_file(path)


# ---------------------------------------------------------------- who needs a release


def _in_use(core: Core, records: Mapping[ReleaseId, Record]) -> dict[ReleaseId, str]:
    """Leases keep their release; a process that stands in a version keeps the newest release that names it."""
    used = {id: "leased" for id in records if lease.is_held(core.layout, id)}
    newest: dict[Path, ReleaseId] = {}
    for id in sorted(records):
        for version in records[id].versions.values():
            newest[core.layout.version(version)] = id
        newest[core.layout.release(id)] = id
    for directory, occupant in occupants.find(newest).items():
        used.setdefault(newest[directory], str(occupant))
    return used | tending.in_use(core)


def _strays_of(
    core: Core, records: Mapping[ReleaseId, Record], manifest: Callable[[Version], Manifest]
) -> Callable[[ReleaseId], str | None]:
    """What says whether a release is the newest that names a version with strays, and which."""
    newest: dict[tuple[str, ReleaseId], ReleaseId] = {}
    for id in sorted(records):
        for version in records[id].versions.values():
            newest[version.tree, version.id] = id

    def of(id: ReleaseId) -> str | None:
        for version in records[id].versions.values():
            if newest[version.tree, version.id] != id or version.adopted:
                continue
            try:
                paths = straying.strays_to_keep(core, version, manifest(version))
            except (Damaged, FileNotFoundError):
                continue
            if paths:
                return f"{version.tree} has strays: {paths[0]}" + (f" and {len(paths) - 1} more" if paths[1:] else "")
        return None

    return of


# ---------------------------------------------------------------- removal


def take_leases(core: Core, ids: Sequence[ReleaseId]) -> dict[ReleaseId, int]:
    """The leases of those releases that nobody has taken since the decision, held exclusively."""
    held = {}
    for id in ids:
        if (fd := lease.exclude(core.layout, id)) is not None:
            held[id] = fd
    return held


def remove_all(core: Core, records: Mapping[ReleaseId, Record], held: dict[ReleaseId, int]) -> list[str]:
    """Removes the files of releases that have no record any more, whose leases are held; gives warnings. The leases of
    those that are wholly gone are gone from `held`, too."""
    kept = {(v.tree, v.id) for id, record in records.items() if id not in held for v in record.versions.values()}
    runs = {record.run or id for id, record in records.items() if id not in held}
    mounted = {directory for _, directory in leftovers.version_directories(core.ground, records.values())}
    warnings = []
    for id in list(held):
        try:
            _remove_release(core, records[id], kept, runs, mounted)
        except (OSError, Failed) as error:
            warnings.append(f"release {id} is gone, but some of its files could not be removed: {error}")
            continue
        lease.drop(core.layout, id, held.pop(id))
    return warnings


def _remove_release(
    core: Core, record: Record, kept: set[tuple[str, ReleaseId]], runs: set[ReleaseId], mounted: set[Path]
) -> None:
    layout = core.layout
    stage.remove(layout.release(record.id))
    stage.remove(layout.log(record.id))
    if (run := record.run or record.id) not in runs:
        stage.remove(layout.run(run))
    for version in record.versions.values():
        directory = layout.version(version)
        if (version.tree, version.id) in kept or directory.parent not in mounted:
            continue
        stage.remove(directory)
        remove_manifests(core, version.tree, version.id)
        if version.tree not in {*core.trees, *(tree for tree, _ in kept)}:
            # The last that was known of a tree that left the site.
            homes.remove(core, [directory.parent], [version.tree])
