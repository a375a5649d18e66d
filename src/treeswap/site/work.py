"""What a deploy has to do, once its request was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from treeswap.manifest import Manifest
from treeswap.records import SiteFile
from treeswap.release import Record, Tree, Version
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
        """The versions that a switch would take out of view: not those of trees that had left the site, or whose public
        path is a live directory."""
        if self.current is None:
            return {}
        shown = (self.before.trees.keys() & self.current.versions.keys()) - {tree.name for tree in self.adopting}
        return {name: self.current.versions[name] for name in self.new if name in shown}

    def sealed(self) -> dict[str, Manifest]:
        """The manifests of the versions that the current release has, as far as they were read."""
        return {name: work.base.manifest for name, work in self.trees.items() if work.base is not None}

    def _must_be_made_anew(self, name: str) -> bool:
        version = self.current.versions.get(name) if self.current else None
        return version is None or version.adopted or name in self.hurt


def path_of(source: Path | Directory) -> Path:
    """The directory that a source of a request is."""
    return source.path if isinstance(source, Directory) else Path(source)
