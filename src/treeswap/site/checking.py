"""The first step of a deploy: everything that can be found out without changing anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from treeswap import adopt, occupants, places, scan, stage, strays
from treeswap.cache import Cache
from treeswap.errors import (
    ConsentNeeded,
    Damaged,
    DestinationRefused,
    NoSpace,
    PlaceRefused,
    StraysFound,
    UsageError,
    listed,
)
from treeswap.outcomes import FileCounts, Plan, TreePlan
from treeswap.records import SiteFile
from treeswap.release import Record, Tree, Version
from treeswap.sources import Directory
from treeswap.stage import Base, TreeWork

from . import asking
from .core import Core, with_settings
from .request import Request


@dataclass(slots=True)
class Work:
    """What a request comes to: the site as it will be, and what is to be made of each tree."""

    request: Request
    site: SiteFile
    before: SiteFile
    current: Record | None
    trees: dict[str, TreeWork] = field(default_factory=dict)
    adopting: list[Tree] = field(default_factory=list)
    joining: list[str] = field(default_factory=list)
    only_live: dict[str, tuple[str, ...]] = field(default_factory=dict)
    moved: dict[str, list[str]] = field(default_factory=dict)
    """Shared paths, by tree, whose content is still in the version that is served now."""
    hurt: frozenset[str] = frozenset()
    """Trees whose version that is served now is not what was sealed any more."""

    @property
    def new(self) -> list[str]:
        """The trees that get a new version."""
        return [name for name, work in self.trees.items() if not work.unchanged or self._must_be_made_anew(name)]

    @property
    def changes(self) -> bool:
        return bool(self.new or self.adopting or self.request.force or self.current is None)

    def kept(self) -> dict[str, Version]:
        """The versions of the current release that stay."""
        if self.current is None:
            return {}
        new = set(self.new)
        return {n: v for n, v in self.current.versions.items() if n in self.site.trees and n not in new}

    def leaving(self) -> dict[str, Version]:
        """The versions that a switch would take out of view."""
        if self.current is None:
            return {}
        return {name: self.current.versions[name] for name in self.new if name in self.current.versions}

    def _must_be_made_anew(self, name: str) -> bool:
        version = self.current.versions.get(name) if self.current else None
        return version is None or version.adopted or name in self.hurt


def look(core: Core, request: Request) -> Work:
    """Refuses what must be refused before a byte is written; else says what there is to do."""
    # A configuration leaves open where a tree's versions are, if it may.
    request = replace(request, trees={name: asking.completed(core, tree) for name, tree in request.trees.items()})
    site = with_settings(core.ground.site, request.trees, request.settings, request.name)
    work = Work(request, site, core.ground.site, core.current_record() if core.exists else None)
    _check_places(core, work)
    for name, source in request.sources.items():
        places.check_source(_path_of(source), site.trees[name], core.layout, site.trees.values())
    _find_adoptions(core, work)
    if work.current is not None:
        core.check_homes(work.current.versions)
        work.hurt = _hurt(core, work.current)
    for name, source in request.sources.items():
        work.trees[name] = _plan_tree(core, work, site.trees[name], source)
    _find_only_live(work)
    _check_sources_given(work)
    _check_shared(core, work)
    return work


def agree(core: Core, work: Work) -> None:
    """Asks for the consent that the request does not carry: `ConsentNeeded` tells all that a person must know."""
    flags, parts = [], []
    if work.adopting and not work.request.adopt:
        flags.append("--adopt")
        paths = [str(tree.path) for tree in work.adopting]
        parts.append("these live directories would become links into the site, their content its first release:")
        parts.append(listed(paths))
        for name, names in work.only_live.items():
            if names:
                parts.append(f"only the live {work.site.trees[name].path} has, and the new release would not show:")
                parts.append(listed(list(names)))
                keep = next((f"--shared {name}/{n}" for n in names), "")
                parts.append(f"what must outlive releases is kept by, for instance, {keep}")
    if work.joining and not work.request.add:
        flags.append("--add")
        parts.append(f"{', '.join(work.joining)} would join the site {core.root}")
    if flags:
        raise ConsentNeeded("\n".join(parts), flags=tuple(flags), hint=f"say yes with {' '.join(flags)}")


def check_strays(core: Core, leaving: Mapping[str, Version], trees: Mapping[str, Tree] | None = None) -> None:
    """`StraysFound` if a switch would take files out of view that nobody sealed. `trees` are the site's as they will
    be: what a request makes shared is no stray any more."""
    found = find_strays(core, leaving, trees)
    if found:
        names = [f"{tree}/{path}" for tree, paths in found.items() for path in paths]
        first = next(iter(names))
        raise StraysFound(
            f"{len(names)} file{'s' if len(names) > 1 else ''} in the current release came from no deploy and would "
            f"vanish from view:\n{listed(names)}",
            hint=f"keep what must outlive releases with, for instance, --shared {first}; "
            "or leave them behind, in the old version, with --leave-strays",
        )


def find_strays(
    core: Core, versions: Mapping[str, Version], trees: Mapping[str, Tree] | None = None
) -> dict[str, list[str]]:
    """The strays of each of these versions, where there are any."""
    found = {}
    for name, version in versions.items():
        tree = (trees or core.trees).get(name) or Tree(name)
        if not core.layout.version(version).is_dir():
            continue
        paths = strays.find(core.layout.version(version), core.ground.records.manifest(version), tree.ignore)
        if paths := [path for path in paths if not _is_shared(path, tree)]:
            found[name] = paths
    return found


def check_space(core: Core, work: Work) -> None:
    """`NoSpace` if a filesystem has too few bytes or inodes for what would be staged on it."""
    needs: dict[int, tuple[Path, int, int]] = {}
    for name in work.new:
        room = places.nearest(core.layout.versions(work.site.trees[name]))
        device = os.stat(room).st_dev
        _, size, inodes = needs.get(device, (room, 0, 0))
        tree = work.trees[name]
        needs[device] = (room, size + tree.bytes_needed, inodes + tree.inodes_needed)
    for room, size, inodes in needs.values():
        free = os.statvfs(room)
        blocks = free.f_bfree if os.geteuid() == 0 else free.f_bavail
        if size > blocks * free.f_frsize:
            raise NoSpace(
                f"the filesystem of {room} has {blocks * free.f_frsize:,} bytes free, and {size:,} are needed",
                hint="free some, or `treeswap prune`",
            )
        # Filesystems that make inodes as they go (btrfs) report none at all.
        if free.f_files and inodes > free.f_ffree:
            raise NoSpace(
                f"the filesystem of {room} has {free.f_ffree:,} inodes free, and {inodes:,} are needed",
                hint="free some, or `treeswap prune`",
            )


def plan_of(core: Core, work: Work, *, switch: bool = True) -> Plan:
    """The work as a person's plan."""
    trees, steps = [], []
    for name, tree in work.site.trees.items():
        done = work.trees.get(name)
        new = name in work.new
        adopts = tree in work.adopting
        counts = done.counts if done and new else FileCounts()
        size = done.bytes_needed if done and new else 0
        source = _path_of(work.request.sources[name]) if name in work.request.sources else None
        trees.append(
            TreePlan(
                name, "new" if new else "kept", counts, size, tree.path, source, name in work.joining, adopts,
                work.only_live.get(name, ()),
            )
        )  # fmt: skip
        if new:
            files = f"{counts.copied} copied ({size:,} bytes), {counts.linked} linked, {counts.removed} removed"
            steps.append(f"stage {name}: {files}")
    if work.changes:
        steps.append("seal the release")
        if switch:
            steps += adoption_steps(work)
            steps.append(f"switch {core.layout.current} to it")
            steps += [f"run: {command}" for command in work.site.settings.after_switch]
            steps.append(f"prune down to {work.site.settings.keep_releases} releases")
    nothing = ("nothing: every tree equals the current release's",)
    return Plan(tuple(steps) or nothing, work.changes, core.root, tuple(trees))


def adoption_steps(work: Work) -> list[str]:
    return [
        f"adopt {tree.path}: it becomes a link, its content the version of {tree.name} to go back to"
        for tree in work.adopting
    ]


# ---------------------------------------------------------------- the parts, in the order of use


def _check_places(core: Core, work: Work) -> None:
    layout, site = core.layout, work.site
    dests = [tree.path for tree in site.trees.values() if tree.path is not None]
    places.check_dests(layout, site.trees)
    places.check_place(layout.root, "the site's directory", dests, site.settings.group)
    if not core.exists:
        places.check_site_is_free(layout)
    for tree in work.request.trees.values():
        known = core.trees.get(tree.name)
        if known is not None and (known.path, known.trees_dir) != (tree.path, tree.trees_dir):
            raise UsageError(
                f"{tree.name} has the public path {known.path} in this site, not {tree.path}",
                hint=f"name the other (NAME=SRC:DEST), or `treeswap unadopt --tree {tree.name}` first",
            )
        if tree.trees_dir is None:
            continue
        place = [tree.path] if tree.path is not None else []
        places.check_place(tree.trees_dir, f"the trees_dir of {tree.name}", place, site.settings.group)


def _find_adoptions(core: Core, work: Work) -> None:
    has_releases = work.current is not None
    for tree in work.site.trees.values():
        named = tree.name in work.request.trees
        if has_releases and tree.name not in core.trees:
            work.joining.append(tree.name)
        if tree.path is None:
            continue
        state = places.public_state(tree.path, core.layout, tree.name)
        if state == "ours":
            continue
        if state == "missing":
            if named or (work.current is not None and tree.name in work.current.versions):
                places.check_parent(tree.path)
            continue
        if not named and (work.current is None or tree.name not in work.current.versions):
            # It joined the site, but no deploy has brought it yet: what is live there is not this deploy's business.
            continue
        if not named:
            raise DestinationRefused(
                f"{tree.path}, the public path of {tree.name}, is a plain directory now",
                hint=f"take it in again with `treeswap adopt {tree.path}`, or move it away",
            )
        places.check_parent(tree.path)
        if not os.access(tree.path, os.W_OK):
            raise DestinationRefused(
                f"{tree.path} cannot be adopted without write permission on the directory itself",
                hint=f"chmod u+w {tree.path}",
            )
        work.adopting.append(tree)


def _plan_tree(core: Core, work: Work, tree: Tree, source: Path | Directory) -> TreeWork:
    return stage.plan(
        directory_of(core, tree, source),
        tree=tree,
        base=_base_of(core, work, tree.name),
        cache=None if work.request.rehash else Cache.load(core.layout.cache / tree.name),
        shared_root=core.layout.shared_of(tree),
        as_root=os.geteuid() == 0,
        listener=core.listener,
    )


def _hurt(core: Core, current: Record) -> frozenset[str]:
    """Those whose version `verify` found damaged, or that are not there at all."""
    damaged = core.ground.journal.history().damaged
    return frozenset(
        name
        for name, version in current.versions.items()
        if (name, version.id) in damaged or not core.layout.version(version).is_dir()
    )


def _base_of(core: Core, work: Work, name: str) -> Base | None:
    """The version that a new one is compared with and linked from. An adopted one is written to by who knows whom, so
    it gives no links, and neither does one that was hurt. With `force` a damaged manifest is as good as none."""
    version = work.current.versions.get(name) if work.current else None
    if version is None:
        return None
    try:
        sealed = core.ground.records.manifest(version)
    except Damaged:
        if not work.request.force:
            raise
        return None
    return Base(sealed, core.layout.version(version), linkable=not version.adopted and name not in work.hurt)


def directory_of(core: Core, tree: Tree, source: Path | Directory) -> Directory:
    if isinstance(source, Directory):
        return source
    if not tree.exclude:
        return Directory(source, None)
    if core.excluding is None:
        raise UsageError(f"{tree.name} has exclude patterns, and this Site was opened without a way to read them")
    return Directory(source, core.excluding(tree.exclude))


def _path_of(source: Path | Directory) -> Path:
    return source.path if isinstance(source, Directory) else Path(source)


def _find_only_live(work: Work) -> None:
    for tree in work.adopting:
        assert tree.path is not None
        if tree.name in work.trees:
            only = scan.only_here(tree.path, work.trees[tree.name].wanted, shared=tree.shared)
            work.only_live[tree.name] = tuple(only)


def _is_shared(path: str, tree: Tree) -> bool:
    path = path.rstrip("/")
    return any(path == shared.rstrip("/") or path.startswith(shared.rstrip("/") + "/") for shared in tree.shared)


def _check_sources_given(work: Work) -> None:
    adopting = {tree.name for tree in work.adopting}
    for name in work.request.trees:
        has_version = work.current is not None and name in work.current.versions
        only_adopted = name in adopting and not work.request.sources
        if name not in work.request.sources and not has_version and not only_adopted:
            raise UsageError(f"{name} has no source and no version yet", hint="give it one: SRC:DEST")


def _check_shared(core: Core, work: Work) -> None:
    """Each shared path is there already, comes from what is live now, or is a directory that can be made."""
    adopting = {tree.name for tree in work.adopting}
    for name in work.request.trees:
        tree = work.site.trees[name]
        for shared in tree.shared:
            path = shared.rstrip("/")
            outside = core.layout.shared_of(tree) / path
            inside = _shown_now(core, work, tree, path)
            if inside is not None:
                if os.path.lexists(outside):
                    if name in adopting:
                        raise DestinationRefused(
                            f"both {inside} and {outside} exist, and only one can be the shared {name}/{path}",
                            hint="move one of them away",
                        )
                    continue
                if inside.is_dir() != shared.endswith("/"):
                    kind = "directory" if inside.is_dir() else "file"
                    raise UsageError(f"{inside} is a {kind}", hint="write a shared directory with a slash at its end")
                _check_sqlite(inside, f"{name}/{path}")
                work.moved.setdefault(name, []).append(shared)
            elif not shared.endswith("/") and not os.path.lexists(outside):
                raise PlaceRefused(
                    f"the shared file {outside} does not exist",
                    hint=f"put it there first: mkdir -p {outside.parent} && cp YOUR-FILE {outside}",
                )


def _shown_now(core: Core, work: Work, tree: Tree, path: str) -> Path | None:
    """Where a shared path's content is served from now, if that is not its shared place yet."""
    if tree in work.adopting:
        assert tree.path is not None
        here = tree.path / path
    elif work.current is not None and (version := work.current.versions.get(tree.name)):
        here = core.layout.version(version) / path
    else:
        return None
    return here if os.path.lexists(here) and not here.is_symlink() else None


def _check_sqlite(file: Path, name: str) -> None:
    if not file.is_file() or (companion := adopt.sqlite_companion(file)) is None:
        return
    reason = companion
    if not reason and (who := occupants.is_open(file)):
        reason = f"process {who.pid} ({who.name}, {who.user}) has it open"
    if reason:
        raise DestinationRefused(
            f"the shared file {name} is a SQLite database in use: {reason}",
            hint="share its directory instead, so that it moves with its journal; or stop what uses it",
        )


def newest_seal(core: Core) -> int | None:
    """When the newest release was sealed, in nanoseconds: later files must have later times."""
    sealed = [record.sealed_at.timestamp() for record in core.ground.records.all().values()]
    return int(max(sealed) * 1_000_000_000) if sealed else None
