"""Bringing a site to rest after a change that was interrupted: the link and the journal say what to finish or to clear.

`settle` ends an open intent, and needs `switch.lock` only; `sweep` clears what dead processes left, and needs both.
Both can themselves be interrupted anywhere and be run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from . import adopt, durable, lease, stage, switch
from .adopt import Move
from .history import History, Intent
from .journal import Journal
from .layout import MARKER, Layout, lies_in
from .records import Records, SiteFile, write_site
from .release import Record, ReleaseId, Tree, Version


@dataclass(slots=True)
class Ground:
    """What the parts of one site share: its paths, its files, its clock."""

    layout: Layout
    site: SiteFile
    records: Records
    journal: Journal
    clock: Callable[[], datetime]

    def current(self) -> ReleaseId | None:
        return switch.read_current(self.layout)

    def history(self) -> History:
        """The journal's history, corrected by the link."""
        history = self.journal.history()
        history.agree_with(self.current(), self.clock())
        return history


@dataclass(slots=True)
class Recovered:
    """What a recovery did, in sentences."""

    notes: list[str] = field(default_factory=list)


def described(ground: Ground, intent: Intent) -> str:
    """What was interrupted, when, and how far it had come."""
    when = f"was interrupted at {intent.at:%Y-%m-%d %H:%M:%S} UTC"
    match intent.what:
        case "adopt":
            moves = [Move.of(details) for details in intent.details["moves"]]
            begun = sum(adopt.is_begun(move) for move in moves)
            return f"the adoption of live directories {when}: {begun} of {len(moves)} had become links"
        case "unadopt":
            given = sum(durable.is_plain_directory(Path(public)) for public, _ in intent.details["copies"].values())
            return f"the unadopt {when}: {given} of {len(intent.details['copies'])} were plain directories again"
    came = "it had happened" if ground.current() == intent.to else "it had not happened"
    return f"the {intent.why} to {intent.to} {when}: {came}"


# ---------------------------------------------------------------- settle


def settle(ground: Ground) -> Recovered:
    """Finishes or takes back the change that the journal has open; notes a switch made by hand."""
    done = Recovered()
    history = ground.journal.history()
    if history.open is not None:
        done.notes.append(_settle_intent(ground, history.open))
    elif os.path.lexists(ground.layout.moving):
        durable.remove_durably([ground.layout.moving], ground.layout.private)
    current = ground.current()
    served = ground.journal.history().served
    if current is not None and (not served or served[-1] != current):
        ground.journal.append("observed", id=current)
        done.notes.append(f"noted that current was moved to {current} by hand")
    record = ground.records.find(current) if current else None
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
    # The rename may be in the page cache only: the outcome must not be on disk before it.
    durable.fsync_directory(ground.layout.root)
    ground.journal.outcome(intent.number, done=happened)
    came = "had happened" if happened else "had not happened"
    return f"an interrupted {intent.why} to {intent.to} {came}"


def _settle_adoption(ground: Ground, intent: Intent) -> str:
    """Forward only, once `current` names the adopted release."""
    assert intent.to is not None
    moves = [Move.of(details) for details in intent.details["moves"]]
    begun = any(adopt.is_begun(move) for move in moves)
    if begun or ground.current() == intent.to:
        finish_adoption(ground, intent.number, intent.to, moves)
        return f"finished the interrupted adoption of {', '.join(str(move.public) for move in moves)}"
    take_back_adoption(ground, intent.number, intent.before, intent.to, moves)
    return "took back an adoption that had not begun"


def finish_adoption(ground: Ground, intent: int, adopted: ReleaseId, moves: Iterable[Move]) -> list[Move]:
    """Goes forward with an adoption; gives the moves that cannot be made. Their directories stay plain, and the
    adopted release ceases to name them: one directory that resists must not hold up every later change."""
    stuck = []
    for move in moves:
        try:
            adopt.carry_out(move)
        except OSError:
            if adopt.is_begun(move):
                raise
            adopt.undo(move)
            stuck.append(move)
    record = ground.records.find(adopted)
    if record is not None and stuck:
        gone = {move.tree for move in stuck}
        versions = {name: version for name, version in record.versions.items() if name not in gone}
        ground.records.write(replace(record, versions=versions))
    if ground.current() != adopted:
        switch.point(ground.layout, adopted)
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
    for move in moves:
        adopt.undo(move)
    if adopted is not None:
        ground.records.remove([adopted])
    end_adoption(ground, intent, done=False)


def end_adoption(ground: Ground, intent: int, *, done: bool) -> None:
    durable.fsync_directory(ground.layout.root)
    ground.journal.outcome(intent, done=done)
    durable.remove_durably([ground.layout.moving], ground.layout.private)


def _settle_unadoption(ground: Ground, intent: Intent) -> str:
    """Forward if one public path is a directory again; else nothing had happened."""
    copies = {name: (Path(public), Path(copy)) for name, (public, copy) in intent.details["copies"].items()}
    begun = any(durable.is_plain_directory(public) for public, _ in copies.values())
    if begun:
        forget_trees(ground, [name for name, ends in copies.items() if _given_back(*ends)])
    for _, copy in copies.values():
        stage.remove(copy)
    ground.journal.outcome(intent.number, done=begun)
    return f"{'finished' if begun else 'cleared'} an interrupted unadopt of {', '.join(copies)}"


def _given_back(public: Path, copy: Path) -> bool:
    """Whether a public path is a plain directory after another try. One that resists stays in the site."""
    try:
        adopt.give_back(public, copy)
    except OSError:
        return durable.is_plain_directory(public)
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
    records = ground.records.all()
    kept = _Kept(ground, records)
    for path in leftovers(ground, kept):
        stage.remove(path)
        done.notes.append(f"cleared {path}")
    _drop_leases(ground, kept)
    return done


class _Kept:
    """What records and held leases keep. A stage's lease is held as long as anything that it started lives."""

    def __init__(self, ground: Ground, records: dict[ReleaseId, Record]) -> None:
        layout = ground.layout
        self.records = records
        self.versions = {(v.tree, v.id) for record in records.values() for v in record.versions.values()}
        self.runs = {record.run or record.id for record in records.values()}
        self._layout = layout
        self._held: dict[ReleaseId, bool] = {}

    def release(self, id: ReleaseId) -> bool:
        return id in self.records or self.held(id)

    def version(self, tree: str, id: ReleaseId) -> bool:
        return (tree, id) in self.versions or self.held(id)

    def run(self, id: ReleaseId) -> bool:
        return id in self.runs or self.held(id)

    def held(self, id: ReleaseId) -> bool:
        if id not in self._held:
            self._held[id] = lease.is_held(self._layout, id)
        return self._held[id]


def leftovers(ground: Ground, kept: _Kept | None = None) -> list[Path]:
    """Everything that `sweep` would clear, without touching it: nothing, if `current` names a release that lost its
    record, since what is served must not be taken for a leftover."""
    kept = kept or _Kept(ground, ground.records.all())
    if (current := ground.current()) is not None and current not in kept.records:
        return []
    layout = ground.layout
    found = [
        *_of_ids(layout.releases, kept.release),
        *_of_ids(layout.runs, kept.run),
        *_of_ids(layout.logs, kept.release),
        *_temporaries(layout.root, layout.private, layout.records, layout.manifests, layout.cache, layout.trees),
    ]
    for tree, directory in version_directories(ground, kept.records.values()):
        found += _of_ids(directory, lambda id, tree=tree: kept.version(tree, id))  # type: ignore[misc]
        found += _temporaries(directory)
    for directory in _listed(layout.manifests):
        found += _of_ids(directory, lambda id, tree=directory.name: kept.version(tree, id))  # type: ignore[misc]
        found += _temporaries(directory)
    for tree_path in {tree.path.parent for tree in ground.site.trees.values() if tree.path}:
        found += [path for path in _temporaries(tree_path) if path.is_symlink() and lies_in_site(path, layout)]
    return found


def lies_in_site(link: Path, layout: Layout) -> bool:
    return lies_in(Path(os.readlink(link)), layout.root)


def version_directories(ground: Ground, records: Iterable[Record]) -> Iterator[tuple[str, Path]]:
    """Every directory that holds versions, with its tree. A trees_dir without the site's mark is left out: it is not
    mounted, or not ours, and nothing about it may be judged."""
    layout = ground.layout
    seen = set()
    trees: list[Tree | Version] = list(ground.site.trees.values())
    trees += [version for record in records for version in record.versions.values()]
    for tree in trees:
        name = tree.name if isinstance(tree, Tree) else tree.tree
        if tree.trees_dir is not None and tree.trees_dir not in seen and _is_marked(tree.trees_dir, ground.site.id):
            seen.add(tree.trees_dir)
            yield name, tree.trees_dir
    for directory in _listed(layout.trees):
        if durable.is_plain_directory(directory):
            yield directory.name, directory


def _is_marked(trees_dir: Path, site_id: str) -> bool:
    try:
        return (trees_dir / MARKER).read_text().partition("\n")[0] == site_id
    except OSError:
        return False


def _of_ids(directory: Path, is_kept: Callable[[ReleaseId], bool]) -> list[Path]:
    """The entries of a directory that are named by an id which nothing keeps. Other names are not ours to touch."""
    return [path for path in _listed(directory) if ReleaseId.valid(path.name) and not is_kept(ReleaseId(path.name))]


def _temporaries(*directories: Path) -> list[Path]:
    return [path for directory in directories for path in _listed(directory) if durable.is_temporary(path.name)]


def _drop_leases(ground: Ground, kept: _Kept) -> None:
    for path in _listed(ground.layout.leases):
        if ReleaseId.valid(path.name) and not kept.release(ReleaseId(path.name)):
            id = ReleaseId(path.name)
            if (fd := lease.exclude(ground.layout, id)) is not None:
                lease.drop(ground.layout, id, fd)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # What may not be looked into, by who may only read, is not theirs to judge.
        return []
