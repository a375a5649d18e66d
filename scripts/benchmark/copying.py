"""Contenders that copy: treeswap, rsync with --link-dest in two versions, atomic-rsync, and `cp -al`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import inputs as fetched

from .contending import Contender
from .fetching import atomic_rsync, older_rsync
from .launching import Commands, Run, run

TREESWAP = str(Path(sys.executable).parent / "treeswap")


class Treeswap(Contender):
    """`treeswap copy`, with everything that it does: checks, digests, manifest, sync, record, switch, prune."""

    name = "treeswap"
    settling = 4

    def set_up(self) -> None:
        (self.place / "public").mkdir()
        self.keep = 5
        self.site = ["--site", str(self.place / "public" / next(iter(self.source.trees)))]

    def commands(self, only: str | None) -> Commands:
        named = {only: self.source.trees[only]} if only else self.source.trees
        pairs = [f"{source}:{self.place / 'public' / name}" for name, source in named.items()]
        options = ["--json", "--deploy-to", self.place / "releases", "--keep", str(self.keep), "--grace", "0"]
        return [[TREESWAP, "copy", *options, *pairs]]

    def public(self, tree: str) -> Path:
        return self.place / "public" / tree

    def roll_back(self) -> Run:
        done = run([[TREESWAP, "rollback", "--json", *self.site]])
        self.left = json.loads(done.told)["previous"]
        return done

    def switched_after(self, rollback: Run) -> float:
        return datetime.fromisoformat(json.loads(rollback.told)["switched_at"]).timestamp() - rollback.started

    def rolled_back(self, tree: str) -> Path:
        return self.public(tree)

    def go_forward(self) -> None:
        run([[TREESWAP, "switch", "--json", self.left, *self.site]])

    def prune(self, keep: int) -> None:
        self.keep = keep


class LinkDest(Contender):
    """`rsync -a --delete --link-dest` of each tree into a new directory. Who uses it switches and prunes by hand."""

    name = "rsync"

    def set_up(self) -> None:
        self.rsync = shutil.which("rsync") or "rsync"

    @classmethod
    def lacks(cls) -> str | None:
        return None if shutil.which("rsync") else "rsync is not installed"

    def commands(self, only: str | None) -> Commands:  # noqa: ARG002
        new, before = (self.place / "releases" / str(number) for number in (self.count, self.count - 1))
        new.mkdir()
        return [
            [self.rsync, "-a", "--delete", *([f"--link-dest={before / name}"] if before.is_dir() else []),
             f"{source}/", f"{new / name}/"]
            for name, source in self.source.trees.items()
        ]  # fmt: skip


class OlderLinkDest(LinkDest):
    """The same by the version that Debian 12 was released with."""

    name = "rsync 3.2.7"

    def set_up(self) -> None:
        self.rsync = str(older_rsync())

    @classmethod
    def lacks(cls) -> str | None:
        try:
            older_rsync()
        except fetched.Unavailable as why:
            return str(why)
        return None


class AtomicRsync(Contender):
    """rsync's own script, once for each tree: a second directory, then a link over the first one's. It keeps two."""

    name = "atomic-rsync"
    keeps_releases = False
    slow = True

    def set_up(self) -> None:
        for name in self.source.trees:
            (self.place / "releases" / f"{name}-1").mkdir()
            (self.place / name).symlink_to(f"releases/{name}-1")

    @classmethod
    def lacks(cls) -> str | None:
        try:
            atomic_rsync()
        except fetched.Unavailable as why:
            return str(why)
        return None if Path("/usr/bin/rsync").exists() else "it calls /usr/bin/rsync, and there is none"

    def commands(self, only: str | None) -> Commands:
        named = [only] if only else list(self.source.trees)
        script = [sys.executable, atomic_rsync()]
        return [[*script, "-a", "--delete", f"{self.source.trees[name]}/", f"{self.place / name}/"] for name in named]

    def public(self, tree: str) -> Path:
        return self.place / tree

    def roll_back(self) -> None:
        return None

    def prune(self, keep: int) -> None:  # noqa: ARG002
        return None


class Linked(Contender):
    """`cp -al` of the release before, and rsync over the copy, which replaces what changed."""

    name = "cp -al, rsync"

    @classmethod
    def lacks(cls) -> str | None:
        return LinkDest.lacks()

    def commands(self, only: str | None) -> Commands:
        new, before = (self.place / "releases" / str(number) for number in (self.count, self.count - 1))
        named = [only] if only and before.is_dir() else list(self.source.trees)
        if not before.is_dir():
            new.mkdir()
        return [
            *([["cp", "-al", before, new]] if before.is_dir() else []),
            *(["rsync", "-a", "--delete", f"{self.source.trees[name]}/", f"{new / name}/"] for name in named),
        ]


class OnlyLinked(Contender):
    """`cp -al` alone, of the source as it was at first: what making the links costs, whatever changed."""

    name = "cp -al alone"
    only_links = True

    def commands(self, only: str | None) -> Commands:  # noqa: ARG002
        new, before = (self.place / "releases" / str(number) for number in (self.count, self.count - 1))
        return [["cp", "-al", before, new] if before.is_dir() else ["cp", "-a", self.source.root, new]]


def rsync_version(program: str | Path) -> str:
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return told.split()[2]


COPYING: tuple[type[Contender], ...] = (Treeswap, LinkDest, OlderLinkDest, AtomicRsync, Linked, OnlyLinked)
BESIDE = (LinkDest.name, OlderLinkDest.name)
