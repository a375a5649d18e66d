"""What a deploy has to do, once its request was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from treeswap.manifest import Manifest
from treeswap.release import Command, Record, Tree, Version
from treeswap.sitefile import SiteFile
from treeswap.sources import Directory
from treeswap.stage import TreeWork

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
    """Shared paths, by tree, that a live directory has: they are moved out of it when it is adopted."""
    hurt: frozenset[str] = frozenset()
    """Trees whose version that is served now is not what was sealed any more."""
    building: bool = False
    """Whether builds will run."""
    written: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the builds that will run may write to: paths by tree, where `""` is the whole tree."""
    same: set[str] = field(default_factory=set)
    """Trees that came out of the build as they are in the current release."""

    @property
    def built_by(self) -> str | None:
        """The digest of the site's build commands."""
        commands = self.site.settings.build
        return hashlib.sha256(repr(commands).encode(errors="surrogateescape")).hexdigest() if commands else None

    @property
    def builds(self) -> tuple[Command, ...]:
        """The builds that run here. One that is local has run."""
        return tuple(command for command in self.site.settings.build if not command.local)

    @property
    def must_build(self) -> bool:
        """Whether builds are to run: a tree or a command changed."""
        if not self.builds or not self.request.build:
            return False
        if self.current is None or self.current.built_by != self.built_by:
            return True
        return bool(self.new or self.adopting or self.request.force)

    @property
    def new(self) -> list[str]:
        """The trees that get a new version."""
        return [
            name
            for name, work in self.trees.items()
            if name not in self.same and (not work.unchanged or name in self.written or self.must_be_made_anew(name))
        ]

    @property
    def changes(self) -> bool:
        forced = self.request.force or self.current is None
        return bool(self.new or self.adopting or self.other_processes or forced or self.building)

    @property
    def other_processes(self) -> bool:
        """Whether the site's processes are others than those of the current release."""
        return self.current is not None and self.current.processes != self.site.settings.processes

    def makes_room(self, tree: Tree) -> bool:
        """Whether something will be made where this tree's versions are."""
        return tree in self.adopting or tree.name in self.new

    def kept(self) -> dict[str, Version]:
        """The versions of the current release that stay."""
        if self.current is None:
            return {}
        new = set(self.new)
        return {n: v for n, v in self.current.versions.items() if n in self.site.trees and n not in new}

    def leaving(self) -> dict[str, Version]:
        """The versions that a switch would take out of view: not those of trees that had left the site, or whose public
        path is a live directory."""
        if self.current is None:
            return {}
        shown = (self.before.trees.keys() & self.current.versions.keys()) - {tree.name for tree in self.adopting}
        return {name: self.current.versions[name] for name in self.new if name in shown}

    def sealed(self) -> dict[str, Manifest]:
        """The manifests of the versions that the current release has, as far as they were read."""
        was_built = {name for name, v in self.current.versions.items() if v.sourced} if self.current else set()
        return {n: work.base.manifest for n, work in self.trees.items() if work.base is not None and n not in was_built}

    def must_be_made_anew(self, name: str) -> bool:
        """Whether a tree gets a new version although nothing of it changed."""
        version = self.current.versions.get(name) if self.current else None
        if version is None or version.adopted or name in self.hurt:
            return True
        # What a build has left there must not stay, where no build writes there any more.
        return (
            version.sourced is not None
            and self.request.build
            and name not in paths_written(self.builds, self.site.trees)
        )


def paths_written(builds: Sequence[Command], trees: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What builds may write to: paths by tree, where `""` is the whole tree."""
    found: dict[str, set[str]] = {}
    for command in builds:
        own = command.tree or next(iter(trees), "")
        for text in (own,) if command.writes is None else command.writes:
            tree, _, path = text.partition("/")
            found.setdefault(tree, set()).add(path)
    return {tree: ("",) if "" in paths else tuple(sorted(paths)) for tree, paths in found.items()}


def path_of(source: Path | Directory) -> Path:
    """The directory that a source of a request is."""
    return source.path if isinstance(source, Directory) else Path(source)
