"""The real side of the model: directories, the program, and what both show."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import treeswap
from killing import Counter
from treeswap.cli.program import run as run_program

from . import oracle
from .model import Files, Site
from .oracle import Answer
from .patches import dying_at
from .program import Program

TREES = ("apps", "conf", "media")


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL before or after a call of `durable`, or before a change of the disk (`at` is `call`, `done` or `change`),
    which are counted from 1."""

    at: str
    number: int

    def __str__(self) -> str:
        where = {"call": "before call {} of durable", "done": "after call {} of durable", "change": "before change {}"}
        return "killed " + where[self.at].format(self.number)

    def patch(self) -> None:
        if self.at == "change":
            Counter(self.number, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)).install()
        else:
            dying_at(self.number, after=self.at == "done")()


class World:
    """Sources, public paths and SITE in a directory of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("src", "srv", "scratch"):
            (root / name).mkdir()
        self.program = Program(root, root / "scratch")
        self.site = oracle.Site(root / "site", {tree: root / "srv" / tree for tree in TREES})
        for tree in TREES:
            self.write(self.source(tree), {})

    def source(self, tree: str) -> Path:
        return self.root / "src" / tree

    def public(self, tree: str) -> Path:
        return self.site.public[tree]

    @staticmethod
    def write(directory: Path, files: Files) -> None:
        """Every tree has a directory besides its files, also an empty one."""
        (directory / "sub").mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            (directory / path).parent.mkdir(exist_ok=True)
            (directory / path).write_bytes(data)

    def pairs(self, trees: Iterable[str]) -> list[str]:
        return [f"{self.source(tree)}:{self.public(tree)}" for tree in trees]

    def configured(self, trees: Iterable[str], site: Site) -> Path:
        """A treeswap.toml for these trees of a site as it is to be."""
        lines = ['name = "site"', f'deploy_to = "{self.site.root}"']
        lines += [f"keep_releases = {site.keep}", f'grace = "{site.grace:g}s"']
        for tree in trees:
            lines += [f"[trees.{tree}]", f'source = "{self.source(tree)}"', f'path = "{self.public(tree)}"']
            lines += ['shared = ["uploads/"]'] if site.trees[tree] else []
        file = self.root / "treeswap.toml"
        file.write_text("\n".join(lines) + "\n")
        return file

    # ------------------------------------------------------------ acting

    def run(self, *words: str, kill: Kill | None = None) -> Answer:
        return self.program.run(*words, "--json", patch=None if kill is None else kill.patch)

    def looked(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `status` and `releases` answer, both from one child."""
        here = ("--site", str(self.site.root), "--json")

        def status() -> None:
            run_program(("status", *here))

        text = self.program.run("releases", *here, patch=status).out
        one, end = json.JSONDecoder().raw_decode(text)
        return one, json.loads(text[end:])

    def switch_by_hand(self, id: str) -> None:
        os.symlink(f"releases/{id}", self.site.root / "next")
        os.replace(self.site.root / "next", self.site.root / "current")

    def lease(self, id: str) -> treeswap.Lease:
        return treeswap.Site.open(self.site.root).lease(id)

    def remove(self, tree: str) -> None:
        shutil.rmtree(self.public(tree))

    # ------------------------------------------------------------ what is there

    def made_since(self, known: Iterable[str]) -> list[str]:
        """The releases that a command has made, oldest first. One that was to be adopted and is not current is none: it
        will be taken back."""
        records = self.site.records()
        new = sorted(records.keys() - set(known))
        served = self.site.current
        return [id for id in new if served in new or records[id]["kind"] != "adopted"]

    def facts(self, known: Iterable[str]) -> dict[str, Any]:
        """What a change that was killed has left, as far as it will stay."""
        if not self.site.exists:
            return {"exists": False}
        told = json.loads((self.site.private / "site.json").read_bytes())
        records = self.site.records().keys()
        return {
            "exists": True,
            "current": self.site.current,
            "releases": sorted(id for id in records if id in known or id in self.made_since(known)),
            "trees": {tree["name"]: bool(tree["shared"]) for tree in told["trees"]},
            "settings": (told["settings"]["keep_releases"], told["settings"]["grace"]),
            # Half adopted, a shared directory is on its way.
            "uploads": None if (self.site.private / "moving").exists() else self.uploads(),
        }

    def uploads(self) -> dict[str, oracle.Seen | None]:
        directories = {tree: self.site.root / "shared" / tree / "uploads" for tree in TREES}
        return {tree: oracle.seen(path) for tree, path in directories.items() if os.path.lexists(path)}

    def is_plain(self, tree: str) -> bool:
        return self.public(tree).is_dir() and not self.public(tree).is_symlink()


def facts_of(site: Site) -> dict[str, Any]:
    """The same of a site of the model."""
    if not site.exists:
        return {"exists": False}
    return {
        "exists": True,
        "current": site.current,
        "releases": sorted(site.releases),
        "trees": dict(site.trees),
        "settings": (site.keep, site.grace),
        "uploads": {tree: dict(files) for tree, files in site.uploads.items()},
    }


# ---------------------------------------------------------------- what commands show


def told(status: Mapping[str, Any], releases: Mapping[str, Any]) -> dict[str, Any]:
    """What `status` and `releases` say, in the words of the model."""
    rows = [
        {
            "id": row["id"],
            "state": row["state"],
            "label": row["label"],
            "repeats": row["repeats"],
            "kept_because": _reason(row["kept_because"]),
            "trees": {tree: version["version"] for tree, version in row["trees"].items()},
        }
        for row in releases["releases"]
    ]
    head = {name: status[name] for name in ("current", "previous", "rollback_to")}
    return {**head, "hold": status["hold"] is not None, "trees": sorted(status["trees"]), "releases": rows}


def wanted(site: Site) -> dict[str, Any]:
    """What they must say."""
    reasons = site.reasons(site.keep, site.grace)
    rows = [
        {
            "id": id,
            "state": site.state_of(release),
            "label": release.label,
            "repeats": release.repeats,
            "kept_because": reasons[id],
            "trees": {tree: version.id for tree, version in release.versions.items()},
        }
        for id, release in sorted(site.releases.items(), reverse=True)
    ]
    back = site.rollback_to
    return {
        "current": site.current,
        "previous": site.previous,
        "rollback_to": back.id if back else None,
        "hold": site.hold,
        "trees": sorted(site.trees),
        "releases": rows,
    }


def _reason(text: str | None) -> str | None:
    """A reason without what the clock, or the names of strays, add to it."""
    if text is None:
        return None
    return "strays" if " has strays: " in text else re.sub(r"^left \d+ s ago", "left", text)
