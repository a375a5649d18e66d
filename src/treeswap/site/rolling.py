"""Going to a release that is there already: `switch` to any, `rollback` to the last good one.

Both take `switch.lock` only, so that an emergency never waits for a build; and what they need for planning, adopting,
and looking afterwards, is loaded when they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from treeswap import places
from treeswap.errors import ConsentNeeded, Damaged, Failed, NothingToRollBackTo, TreeswapError, UsageError, listed
from treeswap.history import bad_after, rollback_target
from treeswap.outcomes import Outcome, Plan
from treeswap.release import Record, ReleaseId, Tree, Version

from . import completing, migrating, swinging, tending
from .core import Core


def switch_to(core: Core, token: str, *, leave_strays: bool, force: bool, adopt: bool) -> Outcome:
    """Makes a release current, and clears its mark if it was bad."""
    with migrating.before_switch(core, token):
        return go_to(core, token, leave_strays=leave_strays, force=force, adopt=adopt)


def go_to(core: Core, token: str, *, leave_strays: bool, force: bool, adopt: bool) -> Outcome:
    """As `switch_to`, without any migration."""
    with core.switching("switch") as notes:
        target = core.find_release(token)
        current = _served(core)
        if current is not None and current.id == target.id:
            made = core.heal_public_links(current)
            return Outcome(changed=False, release=target.id, notes=(*notes, *(f"made {path} again" for path in made)))
        _refuse_damaged(core, target, force=force)
        live = _live(core, target, adopt=adopt)
        if current is not None:
            from . import sharing, straying

            leaving = _leaving(core, current, target, live)
            trees = sharing.trees_of(core, target, leaving)
            if not leave_strays:
                straying.check_strays(core, leaving, trees)
            coming = sharing.coming_with(core, trees, leaving)
            sharing.announce(core, coming)
            notes += sharing.bring(core, coming, leave_behind=leave_strays)
        if live:
            from . import adopting

            tending.prepare(core, target)  # what fails before an adoption adopts nothing
            adopting.probe(core, live, allow_gap=False)
            current, told = adopting.adopt(core, live, target.adopts, allow_gap=False)
            notes += told
        before = core.ground.current()
        target = completing.complete(core, target, before, current, force=force)
        tending.prepare(core, target)
        outcome = _go(core, target, before, current, "switch")
        from . import forecast

        outcome = replace(outcome, notes=(*notes, *outcome.notes), warnings=forecast.unanswered(core, target, current))
    return _concluded(core, outcome, target, before, goes_back=True)


def plan_switch(core: Core, token: str) -> Plan:
    from . import planning

    target = core.find_release(token)
    current = core.ground.current()
    if current == target.id:
        return Plan((f"nothing: {target.id} is current",), False, core.root)
    steps = planning.migration_steps(core.settings) if migrating.is_due(core, target) else []
    return Plan((*steps, *_steps(core, target, current)), True, core.root)


def rollback(core: Core, token: str | None, *, force: bool) -> Outcome:
    """Goes to the newest earlier good release, or the named one, and marks bad what was served after it."""
    with core.switching("rollback") as notes:
        before, target = _ends(core, token)
        _refuse_damaged(core, target, force=force)
        current = _served(core)
        bad = bad_after(target, core.releases_there(), core.ground.history())
        going_to = completing.complete(core, target, before, current, force=force)
        migrated = migrating.ran_since(core, target)  # what cannot be read is to be told before the switch
        tending.prepare(core, going_to)
        outcome = _go(core, going_to, before, current, "rollback", bad=bad)
        warnings = _strays_left(core, current, going_to) if current else ()
        from . import forecast

        warnings = (*forecast.unanswered(core, going_to, current), *migrated, *warnings)
    outcome = replace(outcome, notes=(*notes, *outcome.notes), warnings=warnings)
    # Whoever goes back wants to be away from what is bad: whatever is seen, it is not switched to again.
    return _concluded(core, outcome, going_to, before, goes_back=False)


def _concluded(core: Core, outcome: Outcome, target: Record, before: ReleaseId | None, *, goes_back: bool) -> Outcome:
    seen = tending.conclude(core, target, before, goes_back=goes_back)
    notes = (*outcome.notes, seen) if seen else outcome.notes
    return replace(outcome, notes=notes, warnings=(*outcome.warnings, *tending.retire(core)))


def plan_rollback(core: Core, token: str | None) -> Plan:
    current, target = _ends(core, token)
    bad = bad_after(target, core.releases_there(), core.ground.history())
    steps = _steps(core, target, current)
    steps = (*steps, f"mark bad: {', '.join(bad)}") if bad else steps
    return Plan((*steps, *migrating.ran_since(core, target)), True, core.root)


def _ends(core: Core, token: str | None) -> tuple[ReleaseId, Record]:
    """Where a rollback starts and where it goes. The record of the current release need not be readable: to be away
    from it may be all that is wanted."""
    current = core.ground.current()
    if current is None:
        raise NothingToRollBackTo("the site has no current release", hint="deploy one first")
    if token is not None:
        target = core.find_release(token)
        now = _served(core)
        if target.id == current:
            raise UsageError(f"{target.id} is current already")
        if target.stands_for >= (now.stands_for if now else current):
            raise UsageError(
                f"{target.id} is not earlier than the current release {current}",
                hint=f"go forward with: treeswap switch {target.id}",
            )
        return current, target
    found = rollback_target(current, core.releases_there(), core.ground.history(), core.trees)
    if found is None:
        raise NothingToRollBackTo(
            f"there is no earlier good release with other content than {current}",
            hint="`treeswap releases` lists those that exist; `treeswap switch ID` goes to any of them",
        )
    return current, found


def _served(core: Core) -> Record | None:
    """The record of what is served; None too where it is gone or cannot be read, which is what going to another release
    mends."""
    current = core.ground.current()
    try:
        return core.ground.records.find(current) if current else None
    except Damaged:
        return None


def _live(core: Core, target: Record, *, adopt: bool) -> list[Tree]:
    """The public paths that are plain directories still, for a first switch after `stage`; `ConsentNeeded`."""
    brought = completing.trees_brought(core).values()
    trees = [tree for tree in brought if tree.path is not None and tree.name in target.versions]
    live = [tree for tree in trees if places.public_state(_path(tree), core.layout, tree.name) == "live"]
    if live and not adopt:
        raise ConsentNeeded(
            f"these live directories would become links into the site:\n{listed([str(tree.path) for tree in live])}",
            flags=("--adopt",),
            hint="say yes with --adopt",
        )
    return live


def _path(tree: Tree) -> Path:
    assert tree.path is not None
    return tree.path


def _refuse_damaged(core: Core, target: Record, *, force: bool) -> None:
    damaged = core.ground.journal.history().damaged
    hurt = [name for name, version in target.versions.items() if (name, version.id) in damaged]
    if hurt and not force:
        raise Failed(
            f"{target.id} was found damaged by `verify`: {', '.join(hurt)}",
            hint="choose another release; or look at it with `treeswap verify`, and go there all the same with --force",
        )


def _go(
    core: Core,
    target: Record,
    before: ReleaseId | None,
    current: Record | None,
    why: str,
    *,
    bad: list[ReleaseId] | None = None,
) -> Outcome:
    at = swinging.swing(core, target, why, bad=bad or [])
    trees = {
        name: "kept" if current and current.version_id(name) == version.id else "new"
        for name, version in target.versions.items()
    }
    return Outcome(True, target.id, before, at, trees)


def _leaving(core: Core, current: Record, target: Record, live: Sequence[Tree] = ()) -> dict[str, Version]:
    """The versions that go out of view: not those of trees that left the site, or are `live` directories."""
    shown = {*target.versions} & core.trees.keys() - {tree.name for tree in live}
    return {n: v for n, v in current.versions.items() if n in shown and target.version_id(n) != v.id}


def _strays_left(core: Core, current: Record, target: Record) -> tuple[str, ...]:
    """A rollback only warns, and looks only when it is done."""
    from . import sharing, straying

    try:
        leaving = _leaving(core, current, target)
        trees = sharing.trees_of(core, target, leaving)
        found = straying.find_strays(core, leaving, trees)
        for name, version in leaving.items():
            if unseen := sharing.left_behind(core, sharing.coming_with(core, trees, {name: version})):
                found[name] = [*found.get(name, []), *unseen]
    except (TreeswapError, OSError) as error:
        return (f"{current.id} could not be searched for strays: {error}",)
    return tuple(
        f"{len(paths)} stray files stay behind in {name} of {current.id}: {', '.join(paths[:10])}"
        for name, paths in found.items()
    )


def _steps(core: Core, target: Record, current: ReleaseId | None) -> tuple[str, ...]:
    from . import forecast, planning

    after = tuple(f"run: {planning.told(command)}" for command in core.settings.after_switch)
    now = _served(core)
    return (
        *forecast.before_the_switch(target.processes),
        f"switch {core.layout.current} from {current or 'nothing'} to {target.id}",
        *after,
        *forecast.after_the_switch(core, target.processes, core.settings, now),
        *forecast.unanswered(core, target, now),
    )
