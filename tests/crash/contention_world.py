"""A contended site: its sources of several generations, its public paths on one or two filesystems, and the command
lines that are given in it, chosen by a seed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .contention_content import ALL, EXTRA, GENERATIONS, TREES, content, generation_at, label, write
from .oracle import Site
from .program import Program

GRACE = 2.0
KEEP = 2
_AFTER = "sleep 0.03"


@dataclass(frozen=True, slots=True)
class Variant:
    """How a site begins: `elsewhere` are the trees on another filesystem; with `live` its public paths are plain
    directories before, else there is nothing."""

    name: str
    elsewhere: tuple[str, ...] = ()
    live: bool = False


VARIANTS = (
    Variant("plain"),
    Variant("elsewhere", ("media",), live=True),
    Variant("extra-elsewhere", (EXTRA,)),
    Variant("live", live=True),
)


class World:
    def __init__(self, here: Path, there: Path, variant: Variant) -> None:
        self.here, self.variant = here, variant
        homes = {tree: (there if tree in variant.elsewhere else here) / "srv" for tree in ALL}
        for directory in (here / "keep", here / "scratch"):
            directory.mkdir()
        public = {tree: home / tree for tree, home in homes.items()}
        trees_dirs = {tree: homes[tree] / ".treeswap" / f"{tree}.trees" for tree in variant.elsewhere}
        self.site = Site(here / "site", public, trees_dirs)
        self.program = Program(here, here / "scratch")
        self.known = {tree: [content(tree, generation) for generation in GENERATIONS] for tree in ALL}
        for generation in GENERATIONS:
            self._sources(generation)
        self.begin()

    def begin(self) -> None:
        """No site, and at the public paths what was there before one."""
        for directory in {self.site.root, *(path.parent for path in self.site.public.values())}:
            if directory.exists():
                shutil.rmtree(directory)
        for directory in {path.parent for path in self.site.public.values()}:
            directory.mkdir()
        for tree in (*TREES, EXTRA) if self.variant.live else (EXTRA,):
            write(tree, 1, self.site.public[tree])

    def source(self, tree: str, generation: int) -> Path:
        return self.here / "keep" / str(generation) / tree

    def toml(self, generation: int) -> Path:
        return self.here / "keep" / f"{generation}.toml"

    def _sources(self, generation: int) -> None:
        lines = ['name = "contended"', f'deploy_to = "{self.site.root}"', f"keep_releases = {KEEP}"]
        lines += [f'grace = "{GRACE:.0f}s"', "[commands]", f'after_switch = ["{_AFTER}"]']
        for tree in ALL:
            write(tree, generation, self.source(tree, generation))
            if tree != EXTRA:
                lines += [f"[trees.{tree}]", f'source = "{self.source(tree, generation)}"']
                lines += [f'path = "{self.site.public[tree]}"']
        self.toml(generation).write_text("\n".join(lines) + "\n")

    def is_there(self, tree: str) -> bool:
        """Whether a public path leads somewhere."""
        return self.site.public[tree].exists()

    def shown(self, tree: str) -> int:
        return generation_at(tree, self.site.public[tree])

    @property
    def ids(self) -> list[str]:
        try:
            return sorted(name[:-5] for name in os.listdir(self.site.private / "records") if name.endswith(".json"))
        except FileNotFoundError:
            return []


@dataclass(frozen=True, slots=True)
class Command:
    """A command line. `may` are the errors, as `error.code` names them, with which it may end in a crowd."""

    kind: str
    words: tuple[str, ...]
    may: frozenset[str]


_ALWAYS = frozenset({"locked", "held"})


class Commands:
    """Command lines at random. Each is right in itself; what it meets is the others' doing."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng, self._number = world, rng, 0
        self._labels: list[str] = []
        self._table: Mapping[str, tuple[int, Callable[[], list[str]], str]] = {
            "copy": (14, self._copy, "overtaken consent-needed"),
            "deploy": (8, self._deploy, "overtaken"),
            "stage": (4, self._stage, ""),
            "switch": (8, self._switch, "no-such-release consent-needed failed"),
            "rollback": (8, lambda: ["rollback"], "nothing-to-roll-back-to failed"),
            "rollback ID": (5, self._rollback_to, "usage-error no-such-release failed"),
            "prune": (7, self._prune, "usage-error no-such-release"),
            "adopt": (7, self._adopt, "overtaken consent-needed"),
            "unadopt": (7, lambda: ["unadopt", "--tree", EXTRA], "overtaken usage-error"),
            "recover": (3, lambda: ["recover"], ""),
            "lock": (1, lambda: ["lock", "-m", "a moment"], ""),
            "status": (3, lambda: ["status"], ""),
            "releases": (3, lambda: ["releases"], ""),
            "log": (1, lambda: ["log"], ""),
            "diff": (2, lambda: ["diff"], "no-such-release"),
            "verify": (3, self._verify, ""),
            "check": (1, lambda: ["check"], "failed"),
            "plan": (2, self._plan, "consent-needed nothing-to-roll-back-to usage-error destination-refused"),
        }
        self._weights = [weight for weight, _, _ in self._table.values()]

    def next(self) -> Command:
        if self._world.site.current is None:
            kind = self._rng.choice(("copy", "deploy"))
        else:
            kind = self._rng.choices(list(self._table), self._weights)[0]
        _, words, may = self._table[kind]
        line = [*words(), *self._common(kind)]
        return Command(kind, tuple(line), _ALWAYS | set(may.split()))

    def first(self) -> Command:
        """A copy of all trees with every consent, which finds nobody in its way."""
        made = dict.fromkeys(TREES, self._rng.choice(GENERATIONS))
        return Command("copy", (*self._copy_of(made, ["--adopt", "--add", "--json"]), *self._place), _ALWAYS)

    def unlock(self) -> Command:
        return Command("unlock", ("unlock", "--site", str(self._world.site.root), "--json"), frozenset())

    def _common(self, kind: str) -> list[str]:
        site = self._world.site
        words = ["--json"] if self._rng.random() < 0.8 else []
        words += ["--lock-wait", f"{self._rng.uniform(0.1, 0.8):.1f}"] if self._rng.random() < 0.7 else []
        if kind in ("copy", "adopt"):
            return [*words, *self._place]
        if kind in ("deploy", "stage"):
            return words
        return [*words, "--site", str(self._rng.choice((site.root, *(site.public[tree] for tree in TREES))))]

    # ------------------------------------------------------------ one command each

    def _copy(self) -> list[str]:
        first = self._world.site.current is None
        trees = list(TREES) if first else self._rng.sample(TREES, self._rng.randint(1, 3))
        if not first and self._rng.random() < 0.3:
            trees.append(EXTRA)
        made = {tree: self._rng.choice(GENERATIONS) for tree in trees}
        consents = ["--adopt"] if first or self._rng.random() < 0.95 else []
        consents += ["--add"] if self._rng.random() < 0.95 else []
        consents += ["--force"] if self._rng.random() < 0.2 else []
        return self._copy_of(made, consents)

    def _copy_of(self, made: Mapping[str, int], consents: Sequence[str]) -> list[str]:
        pairs = [f"{self._world.source(tree, g)}:{self._world.site.public[tree]}" for tree, g in made.items()]
        settings = ["--keep", str(KEEP), "--grace", f"{GRACE:.0f}", "--after", _AFTER]
        return ["copy", *pairs, *consents, *settings, "--label", self._label(made)]

    @property
    def _place(self) -> tuple[str, str]:
        return ("--deploy-to", str(self._world.site.root))

    def _configured(self, command: str) -> list[str]:
        generation = self._rng.choice(GENERATIONS)
        made = self._label(dict.fromkeys(TREES, generation))
        return [command, "--site", str(self._world.toml(generation)), "--adopt", "--label", made]

    def _deploy(self) -> list[str]:
        return self._configured("deploy")

    def _stage(self) -> list[str]:
        words = self._configured("stage")
        self._labels = [*self._labels[-3:], words[-1]]
        return words

    def _switch(self) -> list[str]:
        named = [*self._labels, *self._world.ids[-4:]]
        return ["switch", self._rng.choice(named or ["previous"])]

    def _rollback_to(self) -> list[str]:
        return ["rollback", self._rng.choice(self._world.ids[-6:] or ["previous"])]

    def _prune(self) -> list[str]:
        records = self._world.site.private / "records"
        adopted = []
        for id in self._world.ids if self._rng.random() < 0.7 else ():
            try:
                if json.loads((records / f"{id}.json").read_bytes())["kind"] == "adopted":
                    adopted.append(id)
            except FileNotFoundError:
                continue
        return ["prune", *self._rng.choice(([], ["--keep", "1"])), *adopted[:1]]

    def _adopt(self) -> list[str]:
        return ["adopt", str(self._world.site.public[EXTRA]), "--add"]

    def _verify(self) -> list[str]:
        return ["verify", *self._rng.choice(([], ["current"]))]

    def _plan(self) -> list[str]:
        return [*self._rng.choice((self._copy(), ["rollback"], ["prune"], ["recover"])), "-n"]

    def _label(self, made: Mapping[str, int]) -> str:
        self._number += 1
        return label(self._number, made)
