"""How a site stands: what is current, whether it is at rest, whether its public paths lead where they must.

Works for who may only read, and in the middle of an interrupted change.
Its imports are few, since `status` is typed often.
"""

from __future__ import annotations

from collections.abc import Mapping

from treeswap import hold, leftovers, lock, maintenance, places
from treeswap.errors import TreeswapError
from treeswap.history import History, rollback_target
from treeswap.outcomes import Status, TreeStatus
from treeswap.release import Record, ReleaseId, Tree

from . import tending
from .core import Core


def status(core: Core) -> Status:
    core.require()
    ground = core.ground
    current, records = core.current_and_releases()
    history = ground.history()
    target = rollback_target(current, records, history, core.trees) if current else None
    holder = lock.holder(core.layout.switch_lock) or lock.holder(core.layout.deploy_lock)
    interrupted = None if holder else _interrupted(core, history)
    served = core.served_trees(current, records.get(current)) if current else frozenset()
    return Status(
        site=core.root,
        name=core.name,
        current=current,
        previous=history.previous(current, records),
        rollback_to=target.id if target else None,
        state="changing" if holder else "interrupted" if interrupted else "rest",
        lock=holder,
        hold=hold.read(core.layout),
        trees={name: _tree_status(core, tree, served, history) for name, tree in core.trees.items()},
        interrupted=interrupted,
        advice=_advice(current, records) if interrupted else None,
        processes=tending.statuses(core),
        maintenance=maintenance.read(core.layout, current),
    )


def _advice(current: ReleaseId | None, records: Mapping[ReleaseId, Record]) -> str:
    if current is not None and current not in records:
        return "treeswap switch ID, to one of those that `treeswap releases` lists"
    return "treeswap recover (or any command that changes the site)"


def _interrupted(core: Core, history: History) -> str | None:
    """What a dead process left unfinished, if anything."""
    if (intent := history.open) is not None:
        return leftovers.described(core.ground, intent)
    if history.migrations and (died := history.migrations[-1]).done is None:
        return f"the migration `{died.command}` for {died.release} was interrupted"
    try:
        left = leftovers.leftovers(core.ground)
    except (OSError, TreeswapError):
        # Not ours to look into.
        return None
    current = core.ground.current()
    if current is not None and current not in core.ground.records.ids() and core.ground.current() == current:
        return f"current names {current}, which has no record any more"
    if left:
        return f"an interrupted change left {len(left)} thing{'s' if len(left) > 1 else ''} to clear, such as {left[0]}"
    return None


def _tree_status(core: Core, tree: Tree, served: frozenset[str], history: History) -> TreeStatus:
    if tree.path is None:
        return TreeStatus(None, ok=True)
    moving = history.open is not None and history.open.what != "switch"
    try:
        state = places.public_state(tree.path, core.layout, tree.name)
    except TreeswapError as error:
        return TreeStatus(tree.path, ok=False, problem=error.message)
    if tree.name not in served:
        return TreeStatus(tree.path, ok=True, problem=None if state == "ours" else "not deployed yet")
    if state == "ours":
        whole = tree.path.is_dir()
        return TreeStatus(tree.path, ok=whole, problem=None if whole else "the public path dangles")
    if state == "live" and moving:
        return TreeStatus(tree.path, ok=True, problem="on its way into or out of the site")
    problem = "the public path is missing" if state == "missing" else "a plain directory is in the public path's place"
    return TreeStatus(tree.path, ok=False, problem=problem)
