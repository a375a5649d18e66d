"""What the new version of each tree begins with, and what it is compared with: nothing is changed yet."""

from __future__ import annotations

import os
from pathlib import Path

from treeswap import stage
from treeswap.cache import Cache
from treeswap.errors import Damaged, UsageError
from treeswap.manifest import Manifest
from treeswap.release import Tree, Version
from treeswap.sources import Directory, Nothing
from treeswap.stage import Base, TreeWork

from .core import Core
from .work import Work, paths_written


def plan(core: Core, work: Work) -> None:
    """Looks at every source, and at what builds will write to."""
    for name, source in work.request.sources.items():
        tree = work.site.trees[name]
        work.trees[name] = _plan_tree(core, work, tree, directory_of(core, tree, source), _base_of(core, work, name))
    if work.must_build:
        _plan_writing(core, work)


def _plan_writing(core: Core, work: Work) -> None:
    """What builds may write to is staged afresh: without links, and also where its source did not change."""
    written = paths_written(work.builds, work.site.trees)
    if unknown := [name for name in written if name not in work.site.trees]:
        raise UsageError(f"a build command writes to {unknown[0]}, which is no tree of this site")
    for name in written.keys() - work.trees.keys():
        work.trees[name] = _plan_tree(core, work, work.site.trees[name], *_before_builds(core, work, name))
    for name, paths in written.items():
        work.trees[name] = work.trees[name].written_to(paths)
    work.written, work.building = written, True


def _before_builds(core: Core, work: Work, name: str) -> tuple[Directory | Nothing, Base | None]:
    """What a tree without a source of its own begins with: what no build brought of its current version. It is compared
    with that version as it is served, so that it keeps its times: builds tell by them what is out of date."""
    version = work.current.versions.get(name) if work.current else None
    if version is None:
        return Nothing(), None
    try:
        sourced = core.ground.records.sourced(version).entries
        served = core.ground.records.manifest(version)
    except Damaged:
        if not work.request.force:
            raise
        return Nothing(), None
    root = core.layout.version(version)
    return Directory(root, lambda path, _: os.fsencode(path) not in sourced), _base(work, version, root, served)


def _plan_tree(core: Core, work: Work, tree: Tree, source: Directory | Nothing, base: Base | None) -> TreeWork:
    as_root, shared_root = os.geteuid() == 0, core.layout.shared_of(tree)
    key = stage.cache_key(tree, shared_root, as_root=as_root)
    # What a caller's own way of excluding leaves out is known to nobody else.
    given = work.request.sources.get(tree.name)
    forget = work.request.rehash or given is None or (isinstance(given, Directory) and given.excluded is not None)
    return stage.plan(
        source,
        tree=tree,
        base=base,
        cache=Cache(key) if forget else Cache.load(core.layout.cache / tree.name, key),
        shared_root=shared_root,
        as_root=as_root,
        listener=core.listener,
    )


def _base_of(core: Core, work: Work, name: str) -> Base | None:
    """The version that a new one is compared with and linked from. With `force` a damaged manifest is as good as
    none."""
    version = work.current.versions.get(name) if work.current else None
    if version is None:
        return None
    try:
        sealed = core.ground.records.sourced(version)
    except Damaged:
        if not work.request.force:
            raise
        return None
    return _base(work, version, core.layout.version(version), sealed)


def _base(work: Work, version: Version, root: Path, sealed: Manifest) -> Base:
    """An adopted version is written to by who knows whom, so it gives no links, and neither does one that was hurt."""
    return Base(sealed, root, linkable=not version.adopted and version.tree not in work.hurt)


def directory_of(core: Core, tree: Tree, source: Path | Directory) -> Directory:
    if isinstance(source, Directory):
        return source
    if not tree.exclude:
        return Directory(source, None)
    if core.excluding is None:
        raise UsageError(f"{tree.name} has exclude patterns, and this Site was opened without a way to read them")
    return Directory(source, core.excluding(tree.exclude))
