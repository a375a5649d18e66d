"""What a path in a web server's configuration is to a site: text only, but for links above SITE."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from treeswap.layout import Layout, lies_in
from treeswap.outcomes import Finding
from treeswap.release import Tree

_ID = re.compile(r"[0-9]{14}")


@dataclass(frozen=True, slots=True)
class Watched:
    """A site as web servers see it: its SITE (resolved), and its trees with their public paths."""

    root: Path
    trees: Mapping[str, Tree] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def served(self, text: str) -> list[str]:
        """The trees that whoever serves this directory shows; a variable in it stands for any one name."""
        path = self._placed(text)
        if path is None:
            return []
        if (name := self._tree_of(path)) is not None:
            return [name]
        public = {name: tree.path for name, tree in self.trees.items() if tree.path}
        return [name for name, place in public.items() if path != Path("/") and lies_in(place, path)]

    def touched(self, text: str) -> bool:
        """Whether this path is of the site, or shows some of it."""
        path = self._placed(text)
        return path is not None and (lies_in(path, self.root) or bool(self.served(text)))

    def followed(self, text: str) -> str | None:
        """For a path that is nailed to one release: the same one through `current`. None for any other."""
        path = self._placed(text)
        if path is None:
            return None
        for name, tree in self.trees.items():
            versions = self.layout.versions(tree)
            if lies_in(path, versions) and (parts := path.relative_to(versions).parts) and _ID.fullmatch(parts[0]):
                return str(self.layout.current.joinpath(name, *parts[1:]))
        for above, below in ((self.layout.releases, ""), (self.layout.runs, "run")):
            if lies_in(path, above) and (parts := path.relative_to(above).parts) and _ID.fullmatch(parts[0]):
                return str(self.layout.current.joinpath(below, *parts[1:]))
        return None

    def nailed(self, server: str, words: Iterable[str], where: str) -> Finding | None:
        """A warning, if one of the words of a directive names a place that stays on one release."""
        for word in words:
            for text in re.findall(r"/[^|\s\"':;,]*", word):
                if (better := self.followed(text)) is not None:
                    return warning(
                        server,
                        f"{where}: {text} is one release, and stays it after the next deploy",
                        f"name it through current: {better}",
                    )
        return None

    def _tree_of(self, path: Path) -> str | None:
        for name, tree in self.trees.items():
            places = [self.layout.current / name, self.layout.versions(tree)]
            if any(lies_in(path, place) for place in [*places, *([tree.path] if tree.path else [])]):
                return name
        if lies_in(path, self.layout.releases):
            parts = path.relative_to(self.layout.releases).parts
            return parts[1] if len(parts) > 1 and parts[1] in self.trees else None
        return None

    def _placed(self, text: str) -> Path | None:
        """The path with SITE written as it is known, and its last part not followed."""
        if not text.startswith("/"):
            return None
        path = Path(os.path.normpath(text))
        for here in (path, *path.parents):
            if here != self.root and not lies_in(here, self.root) and os.path.realpath(here) == str(self.root):
                return self.root / path.relative_to(here)
        for tree in self.trees.values():
            for here in (path, *path.parents):
                if tree.path and here.name == tree.path.name and os.path.realpath(here.parent) == str(tree.path.parent):
                    return tree.path / path.relative_to(here)
        return path


def warning(server: str, fact: str, hint: str) -> Finding:
    """What breaks the promise and stops no deploy."""
    return Finding(server, False, fact, hint, warning=True)
