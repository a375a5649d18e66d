"""A bench with a configuration: trees, and the commands that a deploy runs."""

from __future__ import annotations

from typing import Any

import pytest

import treeswap
from bench import Bench
from treeswap.release import Command, Settings, Tree
from treeswap.site import Request


class Builder:
    """A site with `apps`, which has a source, and `media`, where builds write to it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.settings: dict[str, Any] = {}
        self.trees = {name: Tree(name, bench.world / name) for name in ("apps", "media")}
        bench.tree("apps", {"a.css": "red", "b.css": "blue"})
        bench.paths["media"] = bench.world / "media"

    def says(self, text: str) -> Builder:
        """The source says something else from now on."""
        self.bench.tree("apps", {"a.css": text})
        return self

    def builds(self, *commands: Command | str) -> Builder:
        return self.commands(build=commands)

    def commands(self, **lists: tuple[Command | str, ...]) -> Builder:
        self.settings |= {
            which: tuple(Command(c) if isinstance(c, str) else c for c in commands) for which, commands in lists.items()
        }
        return self

    def request(self, **flags: Any) -> Request:
        sources = {"apps": self.bench.work / "apps"}
        named = {"apps", *self.bench.site.trees, *(n for c in self.settings.get("build", ()) for n in c.writes or ())}
        trees = {name: tree for name, tree in self.trees.items() if name in named}
        return Request(sources, trees, Settings(**self.settings), add=True, **flags)

    def deploy(self, exits: int = 0, **flags: Any) -> Builder:
        self.bench._do(exits, lambda: self.bench.site.deploy(self.request(**flags)))
        return self

    def stage(self, exits: int = 0, **flags: Any) -> Builder:
        self.bench._do(exits, lambda: self.bench.site.stage_only(self.request(**flags)))
        return self

    @property
    def outcome(self) -> treeswap.Outcome:
        assert self.bench.outcome is not None
        return self.bench.outcome


@pytest.fixture
def builder(bench: Bench) -> Builder:
    return Builder(bench)
