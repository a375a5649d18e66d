"""A release that lacks trees which are served now: to go there, a new one is made of its versions and theirs."""

from __future__ import annotations

from treeswap import lease, switch
from treeswap.errors import Failed
from treeswap.release import Record, ReleaseId, Tree, Version

from .core import Core


def complete(core: Core, target: Record, before: ReleaseId | None, current: Record | None, *, force: bool) -> Record:
    """The target; or, if it lacks trees that are served now, a new release of its versions and theirs. Where the record
    of the current release `before` cannot say what those are, their public paths would dangle: `Failed`."""
    if before is None:
        return target
    if current is None:
        lacking = core.served_trees(before, None) - set(target.versions)
        if lacking and not force:
            raise Failed(
                f"{target.id} lacks {', '.join(sorted(lacking))}, whose versions the record of {before} would tell",
                hint="choose another release; or go there all the same, without these trees, with --force",
            )
        return target
    brought = trees_brought(core)
    missing: dict[str, Version] = {
        name: version for name, version in current.versions.items() if name in brought and name not in target.versions
    }
    if not missing:
        return target
    id = core.reserve(1)[0]
    record = Record(
        id=id,
        versions={**target.versions, **missing},
        sealed_at=core.clock(),
        by=core.by,
        label=target.label,
        revision=target.revision,
        repeats=target.stands_for,
        built_by=target.built_by,
        run=id,
        processes=target.processes,
        process_manager=target.process_manager,
    )
    held = lease.make(core.layout, id)
    try:
        switch.make_release(core.layout, record)
        switch.sync_release(core.layout, record)
        core.ground.records.write(record)
    except BaseException:
        from . import pruning

        core.ground.records.remove([id])
        pruning.remove_files(core, id, {})
        raise
    finally:
        lease.let_go(held)
    return record


def trees_brought(core: Core) -> dict[str, Tree]:
    """The site's trees. One that a deploy is bringing back, or was when it died, is none of them yet."""
    history, (records, unreadable) = core.ground.history(), core.ground.records.readable()
    return {
        name: tree
        for name, tree in core.trees.items()
        # Who knows what an unreadable one brought: a tree must not be left out of a switch for it.
        if unreadable or name not in history.gone_after or history.has_brought(name, records)
    }
