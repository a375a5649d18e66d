"""The third step of a deploy: the site's build commands, run in the stage at its final path.

Promise: a build changes nothing of what is being served. Where namespaces are allowed it cannot: it sees the stage in
the place of the site, public paths included, and may write to what it names only. Elsewhere nothing in the stage is a
hard link, what is served is compared before and after, and a difference fails the deploy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from treeswap import durable, stage, switch
from treeswap.commands import Confinement, can_confine
from treeswap.errors import Damaged, Failed, listed
from treeswap.manifest import Manifest
from treeswap.release import ReleaseId, Tree, Version

from . import built, commanding
from .commanding import Place
from .core import Core
from .work import Work

_Sight = dict[str, tuple[int, int, int, int]]
"""Inode, size, time and mode of each file, by path."""


class Building:
    """The builds of one deploy, for a stage with this id."""

    def __init__(self, core: Core, work: Work, id: ReleaseId) -> None:
        self._core, self._work, self._id = core, work, id
        self._confined = False

    # ------------------------------------------------------------ before the stage is made

    def choose(self) -> None:
        """Finds out whether builds can be confined. Where not, nothing that they can reach may be a link."""
        core, work = self._core, self._work
        if not work.building:
            return
        self._confined = can_confine(Confinement(core.root, self._id, self._homes()))
        if not self._confined:
            for name in work.new:
                work.trees[name] = work.trees[name].written_to([""])

    def _homes(self) -> tuple[Path, ...]:
        """The directories that hold versions."""
        homes = (self._core.layout.versions(tree) for tree in self._work.site.trees.values())
        return tuple(home for home in homes if home.is_dir())

    # ------------------------------------------------------------ the builds

    def run(self, lease: int) -> None:
        """Runs the builds, which inherit `lease`. `Failed`."""
        core, work = self._core, self._work
        self._make_paths()
        place = self._place(lease)
        self._link(place)
        confinement = self._confinement(place) if self._confined else None
        served = {} if self._confined else self._sight(self._served_now())
        not_named = {} if self._confined else self._sight(self._not_named())
        try:
            for command in work.builds:
                commanding.run(core, "build", command, place, confinement=confinement)
        except Failed as error:
            if not self._confined:
                self._check_unharmed(served, not_named, error)
            raise
        finally:
            stage.remove(core.layout.release(self._id))
        if not self._confined:
            self._check_unharmed(served, not_named)

    def take(self, name: str, sourced: Manifest, last_seal_ns: int | None) -> Version | None:
        """The version that the builds have made of a tree which held `sourced` before them; None, and nothing of it is
        left, where it is as in the current release. `Failed` where it cannot be released."""
        core, work, tree = self._core, self._work, self._work.site.trees[name]
        before = self._served(name)
        manifest = built.survey(
            self._staged(name),
            tree,
            work.written[name],
            sourced,
            before,
            shared_root=core.layout.shared_of(tree),
            now=core.clock(),
            last_seal_ns=last_seal_ns,
            listener=core.listener,
        )
        if before is not None and manifest.digest == before.digest and not work.must_be_made_anew(name):
            stage.remove(self._staged(name))
            work.same.add(name)
            return None
        written = core.ground.records.write_manifest(name, self._id, manifest)
        version = built.version_of(tree, self._id, manifest, written)
        return replace(version, sourced=core.ground.records.write_sourced(name, self._id, sourced))

    def _served(self, name: str) -> Manifest | None:
        """What the current release has of a tree. With `force` a damaged manifest is as good as none."""
        version = self._work.current.versions.get(name) if self._work.current else None
        if version is None:
            return None
        try:
            return self._core.ground.records.manifest(version)
        except Damaged:
            if not self._work.request.force:
                raise
            return None

    def _make_paths(self) -> None:
        for name, paths in self._work.written.items():
            for path in paths:
                durable.make_directories(self._staged(name) / path, 0o755)

    def _place(self, lease: int) -> Place:
        core, work = self._core, self._work
        kept = work.kept()
        dirs = {
            name: self._staged(name) if name in work.new else core.layout.version(kept[name])
            for name in work.site.trees
            if name in work.new or name in kept
        }
        return Place(self._id, core.layout.release(self._id), dirs, work.current.id if work.current else None, lease)

    def _link(self, place: Place) -> None:
        """The stage has a release's links already, and the public paths lead into the site: a build that finds one
        missing would make a directory in its place."""
        core = self._core
        durable.make_directory(place.root, 0o755)
        for name, directory in place.dirs.items():
            durable.put_link(str(directory), place.root / name)
        switch.put_public_links(core.layout, [self._work.site.trees[name] for name in place.dirs])

    def _confinement(self, place: Place) -> Confinement:
        work = self._work
        return Confinement(
            self._core.root,
            self._id,
            self._homes(),
            tuple(self._staged(name) / path for name, paths in work.written.items() for path in paths),
            {tree.path: place.dirs[tree.name] for tree in work.adopting if tree.path and tree.name in place.dirs},
        )

    def _staged(self, name: str) -> Path:
        return self._core.layout.versions(self._work.site.trees[name]) / self._id

    # ------------------------------------------------------------ what they must not have changed

    def _served_now(self) -> dict[str, Path]:
        """The directories that are served, by tree: live ones among them, which are to be adopted."""
        current = self._work.current.versions if self._work.current else {}
        live = {tree.name: tree.path for tree in self._work.adopting if tree.path is not None}
        return {**{name: self._core.layout.version(version) for name, version in current.items()}, **live}

    def _not_named(self) -> dict[str, Path]:
        """The staged directories that no build may write to."""
        return {name: self._staged(name) for name in self._work.new if name not in self._work.written}

    def _sight(self, directories: Mapping[str, Path]) -> _Sight:
        """What is in some trees, as far as it shows without reading. What programs leave there by themselves, which
        `ignore` names, is no part of it."""
        found: _Sight = {}
        for name, root in directories.items():
            ignore = (self._work.site.trees.get(name) or Tree(name)).ignore
            for here, below, files in os.walk(root):
                below[:] = [d for d in below if not any(fnmatchcase(d, pattern) for pattern in ignore)]
                for entry in (*files, *below):
                    if not any(fnmatchcase(entry, pattern) for pattern in ignore):
                        found.update(_seen(os.path.join(here, entry)))
        return found

    def _check_unharmed(self, served: _Sight, not_named: _Sight, failure: Failed | None = None) -> None:
        """`Failed` if builds that were not confined have changed what is served, or what none of them names."""
        if changed := _changed(served, self._sight(self._served_now())):
            raise Failed(
                f"what is being served changed while the builds ran:\n{listed(changed)}",
                hint=f"a build must write to the stage: $TREESWAP_TREE_NAME; its output: treeswap log {self._id}",
                cause=failure and failure.message,
            )
        changed = _changed(not_named, self._sight(self._not_named()))
        if changed and failure is None:
            raise Failed(
                f"the builds changed what none of them names:\n{listed(changed)}",
                hint='name it where the build is configured: writes = ["TREE"]',
            )


def _changed(before: _Sight, after: _Sight) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _seen(path: str) -> _Sight:
    try:
        status = os.lstat(path)
    except OSError:
        return {}
    is_directory = os.path.isdir(path) and not os.path.islink(path)
    looks = (0, 0) if is_directory else (status.st_size, status.st_mtime_ns)
    return {path: (status.st_ino, *looks, status.st_mode)}
