"""What dead processes left on a site: whatever no record names and no living process holds. Looks, never clears."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import adopt, durable, lease, maintenance
from .adopt import Move
from .envelope import count_of, table_of, text_of, truth_of
from .errors import Damaged, UsageError
from .ground import Ground
from .history import Intent
from .layout import MARKER, SOURCED, Layout, lies_in
from .release import Record, ReleaseId, Tree, Version, tree_name


def described(ground: Ground, intent: Intent) -> str:
    """What was interrupted, when, and how far it had come."""
    when = f"was interrupted at {intent.at:%Y-%m-%d %H:%M:%S} UTC"
    match intent.what:
        case "adopt":
            moves = moves_of(ground, intent)
            begun = sum(adopt.is_begun(move) for move in moves)
            return f"the adoption of live directories {when}: {begun} of {len(moves)} had become links"
        case "unadopt":
            copies = copies_of(ground, intent)
            given = sum(durable.is_plain_directory(copy.public) for copy in copies)
            return f"the unadopt {when}: {given} of {len(copies)} were plain directories again"
    came = "it had happened" if ground.current() == intent.to else "it had not happened"
    return f"the {intent.why} to {intent.to} {when}: {came}"


@dataclass(frozen=True, slots=True)
class Copy:
    """An independent copy of a version of `tree`, at `path`, on its way to take the public link's place."""

    tree: str
    public: Path
    path: Path
    mode: int


def moves_of(ground: Ground, intent: Intent) -> list[Move]:
    """What an intent to adopt moves. `Damaged` if that is not what this site would move: the journal's words must not
    lead elsewhere."""
    trees, id = ground.site.trees, intent.to
    try:
        told = [table_of(details) for details in intent.details["moves"]]
        moves = [Move.into(ground.layout, trees[move["tree"]], _given(id), gap=truth_of(move["gap"])) for move in told]
        if [move.details() for move in moves] != told:
            raise ValueError("the directories are not those of this site")
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        raise _senseless(ground, intent, error)
    return moves


def copies_of(ground: Ground, intent: Intent) -> list[Copy]:
    """What an intent to unadopt puts in the place of public links. `Damaged` as with `moves_of`."""
    copies = []
    try:
        modes = table_of(intent.details["modes"])
        for name, (public, path) in table_of(intent.details["copies"]).items():
            copy = Copy(tree_name(name), Path(text_of(public)), Path(text_of(path)), count_of(modes[name]) & 0o7777)
            tree = ground.site.trees.get(name)
            # A tree that is not the site's any more was given back.
            home = ground.layout.versions(tree) if tree else copy.path.parent
            is_home = home == ground.layout.trees / name or _is_marked(home, ground.site.id)
            is_ours = copy.path.parent == home and is_home and durable.is_temporary(copy.path.name)
            if not is_ours or (tree is not None and copy.public != tree.path):
                raise ValueError("the directories are not those of this site")
            copies.append(copy)
    except (KeyError, ValueError, TypeError, UsageError) as error:
        raise _senseless(ground, intent, error)
    return copies


def _given(id: ReleaseId | None) -> ReleaseId:
    if id is None:
        raise ValueError("no release is named")
    return id


def _senseless(ground: Ground, intent: Intent, error: Exception) -> Damaged:
    return Damaged(
        f"line {intent.number} of the journal {ground.layout.journal} is damaged",
        hint="the public paths serve what `current` names all the same; restore the file, or remove that line",
        cause=error,
    )


class Kept:
    """What records and held leases keep. A stage's lease is held as long as anything that it started lives.

    A record that cannot be read may name any version: while there is one, all of them are kept."""

    def __init__(self, ground: Ground) -> None:
        layout = ground.layout
        records, self.unreadable = ground.records.readable()
        self.records = records
        self.versions = {(v.tree, v.id) for record in records.values() for v in record.versions.values()}
        self.places = {layout.version(v) for record in records.values() for v in record.versions.values()}
        self.runs = {record.run or record.id for record in records.values()}
        self._layout = layout
        self._held: dict[ReleaseId, bool] = {}

    def release(self, id: ReleaseId) -> bool:
        return id in self.records or id in self.unreadable or self.held(id)

    def version(self, tree: str, id: ReleaseId) -> bool:
        return bool(self.unreadable) or (tree, id) in self.versions or self.held(id)

    def run(self, id: ReleaseId) -> bool:
        return bool(self.unreadable) or id in self.runs or self.held(id)

    def held(self, id: ReleaseId) -> bool:
        if id not in self._held:
            self._held[id] = lease.is_held(self._layout, id)
        return self._held[id]


def leftovers(ground: Ground) -> list[Path]:
    """Everything that `sweep` would clear, without touching it: nothing, if `current` names a release that lost its
    record, since what is served must not be taken for a leftover."""
    kept = Kept(ground)
    if (current := ground.current()) is not None and current not in kept.records:
        return []
    layout = ground.layout
    found = [
        *_of_ids(layout.releases, kept.release),
        *_of_ids(layout.runs, kept.run),
        *_of_ids(layout.logs, kept.release),
        *_temporaries(
            layout.root,
            layout.maintenance,
            layout.private,
            layout.records,
            layout.manifests,
            layout.cache,
            layout.trees,
        ),
    ]
    for tree, directory in version_directories(ground, kept.records.values()):
        # By its place too: a trees_dir may have been another tree's, whose versions records still name.
        found += [
            path
            for path in _of_ids(directory, lambda id, tree=tree: kept.version(tree, id))  # type: ignore[misc]
            if path not in kept.places
        ]
        found += _temporaries(directory)
    for directory in listed(layout.manifests):
        for ending in ("", SOURCED):
            is_kept = partial(kept.version, directory.name)
            found += _of_ids(directory, is_kept, ending)
        found += _temporaries(directory)
    for tree_path in {tree.path.parent for tree in ground.site.trees.values() if tree.path}:
        found += [path for path in _temporaries(tree_path) if path.is_symlink() and lies_in_site(path, layout)]
    found += _of_trees_that_left(ground, kept, found)
    if os.path.lexists(layout.moving) and ground.journal.history().open is None:
        found.append(layout.moving)
    if maintenance.is_left_over(layout):
        found.append(layout.maintenance_mark)
    # Last of all, as when a release is removed: while something of it is there, so is its lease.
    found += _of_ids(layout.leases, kept.release)
    return found


def _of_trees_that_left(ground: Ground, kept: Kept, found: Sequence[Path]) -> list[Path]:
    """What the site keeps for trees that neither it nor a record names: stat data, directories in which nothing is but
    what goes, too, and the way to shared paths on another filesystem, where there are none."""
    layout, goes = ground.layout, set(found)
    named = {*ground.site.trees, *(tree for tree, _ in kept.versions)}
    homes = [path for path in (*listed(layout.trees), *listed(layout.manifests)) if durable.is_plain_directory(path)]
    left = [path for path in homes if goes.issuperset(listed(path))]
    left += [path for path in listed(layout.shared) if path.is_symlink() and leads_to_nothing(path, ground.site.id)]
    return [path for path in (*left, *listed(layout.cache)) if path.name not in named and path not in goes]


def leads_to_nothing(link: Path, site_id: str) -> bool:
    """Whether there are no shared paths where this leads. What is not mounted may hold some."""
    shared = Path(os.readlink(link))
    trees_dir = shared.parent
    if os.path.lexists(trees_dir):
        return _is_marked(trees_dir, site_id) and not listed(shared)
    return trees_dir.parent.is_dir()


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
    for directory in listed(layout.trees):
        if durable.is_plain_directory(directory):
            yield directory.name, directory


def _is_marked(trees_dir: Path, site_id: str) -> bool:
    try:
        return (trees_dir / MARKER).read_text().partition("\n")[0] == site_id
    except (OSError, ValueError):
        return False


def _of_ids(directory: Path, is_kept: Callable[[ReleaseId], bool], ending: str = "") -> list[Path]:
    """The entries of a directory that are named by an id (and this ending) which nothing keeps. Other names are not
    ours to touch."""
    ids = [(path, path.name.removesuffix(ending)) for path in listed(directory) if path.name.endswith(ending)]
    return [path for path, id in ids if ReleaseId.valid(id) and not is_kept(ReleaseId(id))]


def _temporaries(*directories: Path) -> list[Path]:
    return [path for directory in directories for path in listed(directory) if durable.is_temporary(path.name)]


def listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # What may not be looked into, by who may only read, is not theirs to judge.
        return []
