"""One tree, its source, and the versions made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from treeswap import stage
from treeswap.cache import Cache
from treeswap.manifest import Manifest, joined
from treeswap.outcomes import FileCounts, Listener, silent
from treeswap.release import Tree
from treeswap.sources import Directory
from treeswap.stage import Base, TreeWork


class Easel:
    """`source` and `versions` are directories; `base` is the version that the next one is compared with."""

    def __init__(self, source_room: Path, room: Path | None = None) -> None:
        room = room or source_room
        self.source = source_room / "source"
        self.source.mkdir()
        self.versions = room / "versions"
        self.versions.mkdir()
        self.shared_root = room / "shared"
        self.tree = Tree("apps")
        self.base: Base | None = None
        self.cache: Cache = Cache()
        self.sealed_ns: int | None = None
        self.counts = FileCounts()

    def write(self, files: Mapping[str, str | bytes]) -> Easel:
        for name, data in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        return self

    def with_tree(self, *, shared: tuple[str, ...] = (), touch: tuple[str, ...] = ()) -> Easel:
        self.tree = replace(self.tree, shared=shared, touch=touch)
        return self

    def plan(self, source: Directory | None = None) -> TreeWork:
        return stage.plan(
            source or Directory(self.source),
            tree=self.tree,
            base=self.base,
            cache=self.cache,
            shared_root=self.shared_root,
            as_root=os.geteuid() == 0,
            listener=silent,
        )

    def place(
        self, name: str, work: TreeWork | None = None, *, now: datetime | None = None, listener: Listener = silent
    ) -> Path:
        """Makes the version `name`; it is the base of the next one."""
        work = work or self.plan()
        destination = self.versions / name
        now = now or datetime.now(UTC)
        manifest, self.counts = stage.place(work, destination, now=now, last_seal_ns=self.sealed_ns, listener=listener)
        self.base = Base(manifest, destination, linkable=True)
        self.cache = work.cache(manifest)
        self.sealed_ns = int(now.timestamp() * 1e9)
        return destination

    @property
    def manifest(self) -> Manifest:
        assert self.base is not None
        return self.base.manifest


def copied(work: TreeWork) -> list[bytes]:
    """The files and symlinks that a version is to have as copies, sorted."""
    return sorted(joined(path, name) for path in work.wanted for name in work.parts(path)[1])
