"""The first step of a deploy: everything that can be found out without changing anything."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from treeswap import places, scan
from treeswap.errors import (
    ConsentNeeded,
    DestinationRefused,
    NoSpace,
    UsageError,
    listed,
)
from treeswap.release import Record, ReleaseId
from treeswap.sources import Directory

from . import asking, beginning, sharing
from .core import Core, with_settings
from .request import Request
from .work import Work, path_of


def look(core: Core, request: Request) -> Work:
    """Refuses what must be refused before a byte is written; else says what there is to do."""
    # A configuration leaves open where a tree's versions are, if it may.
    request = replace(request, trees={name: asking.completed(core, tree) for name, tree in request.trees.items()})
    site = with_settings(core.ground.site, request.trees, request.settings, request.name)
    work = Work(request, site, core.ground.site, core.current_record() if core.exists else None)
    _check_places(core, work)
    for name, source in request.sources.items():
        if isinstance(source, Directory) and source.ours:
            continue
        places.check_source(path_of(source), site.trees[name], core.layout, site.trees.values())
    _find_adoptions(core, work)
    if work.current is not None:
        core.check_homes(work.current.versions)
        work.hurt = _hurt(core, work.current)
    beginning.plan(core, work)
    _find_only_live(work)
    _check_sources_given(work)
    _check_processes(core, work)
    sharing.check(core, work)
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


def check_moved(work: Work) -> None:
    """Refuses to run before the switch what may need a shared path that a live directory still has then: adopting moves
    it to its place, and comes later. A database that is not there yet would be made anew, empty."""
    settings = work.site.settings
    serving = any(process.has_socket for process in settings.processes)
    needing = [what for what, there in (("migrations", settings.migrate), ("processes", serving)) if there]
    moved = [f"{name}/{path}" for name, paths in work.moved.items() for path in paths]
    if needing and moved:
        raise DestinationRefused(
            f"the {' and '.join(needing)} of this deploy would find nothing where these are shared, since the live "
            f"directories that have them are adopted later:\n{listed(moved)}",
            hint="adopt them first, which changes nothing for visitors: treeswap adopt; then deploy",
        )


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


def _check_processes(core: Core, work: Work) -> None:
    """Processes that could not run are refused, and a manager that is not there; no process is asked."""
    settings = work.site.settings
    if not settings.processes:
        return
    from treeswap.processes import Unit, socket_path

    for process in settings.processes:
        process.check(work.site.trees)
        if process.has_socket:
            unit = Unit(work.site.name, core.root, ReleaseId("0" * 14), process.name, process.instances)
            socket_path(unit)
    if work.before.name != work.site.name and any(r.processes for r in core.releases_there().values()):
        raise UsageError(
            f"the site is called {work.before.name!r}, and its processes run under that name",
            hint=f'set name = "{work.before.name}"',
        )
    core.manager(settings.process_manager)


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


def _hurt(core: Core, current: Record) -> frozenset[str]:
    """Those whose version `verify` found damaged, or that are not there at all."""
    damaged = core.ground.journal.history().damaged
    return frozenset(
        name
        for name, version in current.versions.items()
        if (name, version.id) in damaged or not core.layout.version(version).is_dir()
    )


def _find_only_live(work: Work) -> None:
    for tree in work.adopting:
        assert tree.path is not None
        if tree.name in work.trees:
            only = scan.only_here(tree.path, work.trees[tree.name].paths(), shared=tree.shared)
            work.only_live[tree.name] = tuple(only)


def _check_sources_given(work: Work) -> None:
    if work.request.present_only:
        return
    adopting = {tree.name for tree in work.adopting}
    for name in work.request.trees:
        has_version = work.current is not None and name in work.current.versions
        only_adopted = name in adopting and not work.request.sources
        if name not in work.request.sources and not has_version and not only_adopted and name not in work.written:
            raise UsageError(f"{name} has no source and no version yet", hint="give it one: SRC:DEST")


def newest_seal(core: Core) -> int | None:
    """When the newest release was sealed, in nanoseconds: later files must have later times."""
    sealed = [record.sealed_at.timestamp() for record in core.releases_there().values()]
    return int(max(sealed) * 1_000_000_000) if sealed else None
