"""Bringing a site to rest after a change that was interrupted: the link and the journal say what to finish or to clear.

`settle` ends an open intent, and needs `switch.lock` only; `sweep` clears what dead processes left, and needs both.
Both can themselves be interrupted anywhere and be run again. What removes trees is loaded where there is one to
remove: a rollback is to be short.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from . import adopt, durable, maintenance, switch
from .adopt import Move
from .errors import Damaged, Failed
from .ground import Ground
from .history import Intent, Migration
from .leftovers import Copy, copies_of, leftovers, moves_of
from .release import ReleaseId
from .sitefile import write_site


@dataclass(slots=True)
class Recovered:
    """What a recovery did, in sentences."""

    notes: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- settle


def settle(ground: Ground) -> Recovered:
    """Finishes or takes back the change that the journal has open; notes a switch made by hand."""
    done = Recovered()
    history = ground.journal.history()
    if history.open is not None:
        done.notes.append(_settle_intent(ground, history.open))
    elif os.path.lexists(ground.layout.moving):
        durable.remove_durably([ground.layout.moving], ground.layout.private)
        done.notes.append(f"cleared {ground.layout.moving}, which an interrupted adoption left")
    current = ground.current()
    served = ground.journal.history().served
    if current is not None and (not served or served[-1] != current):
        ground.journal.append("observed", id=current)
        done.notes.append(f"noted that current was moved to {current} by hand")
    try:
        record = ground.records.find(current) if current else None
    except Damaged:
        return done
    if current is not None and record is None:
        return done
    for path in switch.drop_unused_links(ground.layout, ground.site.trees.values(), record):
        done.notes.append(f"removed the unused public link {path}")
    return done


def _settle_intent(ground: Ground, intent: Intent) -> str:
    match intent.what:
        case "adopt":
            return _settle_adoption(ground, intent)
        case "unadopt":
            return _settle_unadoption(ground, intent)
    happened = ground.current() == intent.to
    switch.confirm(ground.layout)
    ground.journal.outcome(intent.number, done=happened)
    came = "had happened" if happened else "had not happened"
    return f"an interrupted {intent.why} to {intent.to} {came}"


def _settle_adoption(ground: Ground, intent: Intent) -> str:
    """Forward only, once `current` names the adopted release."""
    assert intent.to is not None
    moves = moves_of(ground, intent)
    begun = any(adopt.is_begun(move) for move in moves)
    if begun or ground.current() == intent.to:
        finish_adoption(ground, intent.number, intent.to, moves)
        return f"finished the interrupted adoption of {', '.join(str(move.public) for move in moves)}"
    take_back_adoption(ground, intent.number, intent.before, intent.to, moves)
    return "took back an adoption that had not begun"


def finish_adoption(ground: Ground, intent: int, adopted: ReleaseId, moves: Iterable[Move]) -> list[Move]:
    """Goes forward with an adoption; gives the moves that cannot be made. Their directories stay plain, and the
    adopted release ceases to name them: one directory that resists must not hold up every later change."""
    # Who died may have done so before its fsync: a directory must not become a link to what a power cut takes back.
    if ground.current() != adopted:
        switch.point(ground.layout, adopted)
    else:
        switch.confirm(ground.layout)
    record = ground.records.find(adopted)
    stuck = []
    for move in moves:
        if record is not None and move.tree not in record.versions and not adopt.is_begun(move):
            # It resisted before: its directory would go where no record keeps it from being swept.
            stuck.append(move)
            continue
        try:
            adopt.carry_out(move)
        except OSError:
            if adopt.is_begun(move):
                raise
            adopt.undo(move)
            stuck.append(move)
    if record is not None and stuck:
        gone = {move.tree for move in stuck}
        versions = {name: version for name, version in record.versions.items() if name not in gone}
        ground.records.write(replace(record, versions=versions))
        links = ground.layout.release(adopted)
        durable.remove_durably((links / name for name in gone), links)
    end_adoption(ground, intent, done=True)
    return stuck


def take_back_adoption(
    ground: Ground, intent: int, before: ReleaseId | None, adopted: ReleaseId | None, moves: Iterable[Move]
) -> None:
    """Undoes an adoption none of whose directories has moved; its release ceases to exist."""
    current = ground.current()
    if current != before:
        if before is None:
            switch.unpoint(ground.layout)
        else:
            switch.point(ground.layout, before)
    else:
        switch.confirm(ground.layout)
    for move in moves:
        adopt.undo(move)
    if adopted is not None:
        ground.records.remove([adopted])
    end_adoption(ground, intent, done=False)


def end_adoption(ground: Ground, intent: int, *, done: bool) -> None:
    ground.journal.outcome(intent, done=done)
    durable.remove_durably([ground.layout.moving], ground.layout.private)


def _settle_unadoption(ground: Ground, intent: Intent) -> str:
    """Forward if one public path is a directory again; else nothing had happened."""
    from . import stage

    copies = copies_of(ground, intent)
    begun = any(durable.is_plain_directory(copy.public) for copy in copies)
    if begun:
        forget_trees(ground, [copy.tree for copy in copies if _given_back(ground, copy)])
    for copy in copies:
        stage.remove(copy.path)
    ground.journal.outcome(intent.number, done=begun)
    return f"{'finished' if begun else 'cleared'} an interrupted unadopt of {', '.join(copy.tree for copy in copies)}"


def _given_back(ground: Ground, copy: Copy) -> bool:
    """Whether a public path is a plain directory after another try. One that resists stays in the site."""
    if copy.tree not in ground.site.trees:
        return True
    try:
        adopt.give_back(copy.public, copy.path, copy.mode)
    except OSError:
        if durable.is_plain_directory(copy.public):
            raise  # it was exchanged, and the disk did not confirm it
        return False
    return True


def forget_trees(ground: Ground, names: Iterable[str]) -> None:
    """Takes trees out of the site. Their versions stay as long as a record names them."""
    gone = set(names)
    trees = {name: tree for name, tree in ground.site.trees.items() if name not in gone}
    ground.site = replace(ground.site, trees=trees)
    write_site(ground.layout, ground.site)


# ---------------------------------------------------------------- sweep


def sweep(ground: Ground) -> Recovered:
    """Clears what no record names and no living process holds: stages, temporary files, half-removed releases."""
    done = Recovered()
    if left := leftovers(ground):
        # Whoever left this may have died, or failed, between unlinking a record and its fsync.
        durable.fsync_directory(ground.layout.records)
        from . import stage
    for path in left:
        try:
            stage.remove(path)
            done.notes.append(f"cleared {path}")
        except (OSError, Failed) as error:
            # Somebody else's, perhaps: what nobody needs must not hold up a change.
            done.notes.append(f"could not clear {path}: {error}")
    migrations = ground.journal.history().migrations
    # Nobody else can be migrating: who does holds `deploy.lock`.
    if why := _explain_page(ground, migrations):
        done.notes.append(f"the maintenance page is still up, since {why}; to end it: treeswap maintenance off")
    if migrations and migrations[-1].done is None:
        died = migrations[-1]
        ground.journal.append("migrated", release=died.release, command=died.command, done=False)
        done.notes.append(f"the migration `{died.command}` for {died.release} was interrupted: look at what it did")
    if dead := _never_came_back(ground):
        forget_trees(ground, dead)
        done.notes.append(f"forgot {', '.join(dead)}, which an interrupted deploy was bringing back into the site")
    return done


def _explain_page(ground: Ground, migrations: Sequence[Migration]) -> str | None:
    """Says in the mark of a page that a dead deploy has left up what its migration came to, and gives that; None where
    it is said already, or there is no such page."""
    mark = maintenance.read(ground.layout, ground.current())
    if mark is None or mark.deploy is None:
        return None
    last = next((it for it in reversed(migrations) if it.release == mark.deploy), None)
    if last is None:
        why = f"the deploy of {mark.deploy} was interrupted before its first migration"
    elif last.done is None:
        why = f"`{last.command}` (migrate) for {mark.deploy} was interrupted"
    elif last.done:
        why = f"the deploy of {mark.deploy} was interrupted after `{last.command}` (migrate) had ended"
    else:
        return None  # it failed, and said so
    if why == mark.why:
        return None
    maintenance.put_up(ground.layout, replace(mark, why=why))
    return why


def _never_came_back(ground: Ground) -> list[str]:
    """Trees that left the site, and are named in it again without a release that brought them. The releases from before
    have versions of them, so that they would be taken for trees that lost their public paths."""
    history, layout = ground.journal.history(), ground.layout
    records, unreadable = ground.records.readable()
    if unreadable:
        return []  # who knows what those brought
    return [
        tree.name
        for tree in ground.site.trees.values()
        if tree.name in history.gone_after and not history.has_brought(tree.name, records)
        if tree.path is not None and not durable.leads_through(tree.path, layout.public_text(tree.name))
    ]
