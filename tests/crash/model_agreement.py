"""One step of a sequence on both sides: run the command, do the same to the model, and compare all that can be seen."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

import treeswap

from . import model_changes, oracle
from .model import Refused, Site
from .model_changes import Change
from .model_world import TREES, Kill, World, facts_of, told, wanted
from .program import KILLED

figures: Counter[str] = Counter()
"""How many of which commands were run, and how many of them were killed."""

_OF_TREES = ("copy", "deploy", "stage", "adopt", "unadopt")


class Agreement(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(Path(tempfile.mkdtemp(prefix="model.")))
        self.site = Site()
        self.leases: list[treeswap.Lease] = []
        self.interrupted = False
        """Whether something may be left of a killed command."""
        self.midway = False
        """Whether directories may be on their way into the site or out of it."""

    def teardown(self) -> None:
        try:
            self._at_the_end()
        finally:
            for held in self.leases:
                held.close()
            shutil.rmtree(self.world.root)

    def _at_the_end(self) -> None:
        """What was left is cleared without help, and every version is what was sealed."""
        if not self.site.exists:
            return
        if self.site.hold:
            self.run(["unlock", *self.here()])
            self.site = replace(self.site, hold=False)
        self.run(["recover", *self.here()])
        if left := oracle.leftovers(self.world.site):
            raise oracle.Broken(7, f"still there: {', '.join(left)}")
        answer = self.world.run("verify", *self.here())
        wrong = [p for p in answer.json["problems"] if p["kind"] != "added"]
        assert not wrong, str(answer)
        assert answer.code == (16 if answer.json["problems"] else 0), str(answer)

    # ------------------------------------------------------------ one change, and what came of it

    def change(
        self,
        words: Sequence[str],
        act: Callable[[Site, Sequence[str]], Change],
        kill: Kill | None,
        *,
        sweeps: bool = False,
        says: bool = True,
    ) -> None:
        """Runs a command and does the same to the model. `sweeps`: it clears what dead processes left; `says`: its
        answer is compared, too."""
        before = self.site
        if self.midway and words[0] in _OF_TREES:
            kill = None  # or nobody could tell a tree that is on its way from one that this command adds
        answer = self.run(words, kill)
        made = self.world.made_since(before.releases)
        change, refused = None, None
        try:
            change = act(before, made)
        except Refused as refusal:
            refused = refusal
        if answer.code == KILLED:
            self._died(words[0], before, change)
        elif refused is not None:
            error = answer.json["error"] or {}
            assert (answer.code, error.get("code")) == (refused.code, refused.why), f"{refused}, but {answer}"
            if refused.code not in (10, 11):
                self.site = model_changes.begun(before, makes=True, sweeps=sweeps)
                self.midway = False
        else:
            assert change is not None and answer.code == 0, f"nothing is wrong, but {answer}"
            self.site = change.end
            self.midway = False
            self.interrupted &= not sweeps
            if says:
                self._compare_words(answer.json, change)
        self.look()

    def _compare_words(self, answer: dict[str, Any], change: Change) -> None:
        said = {"changed": answer["changed"]}
        must: dict[str, Any] = {"changed": change.changed}
        if "release" in answer:
            said |= {"release": answer["release"], "trees": answer["trees"]}
            must |= {"release": change.release, "trees": change.trees or {}}
        assert said == must, f"the command said {said}, and it is {must}"

    def _died(self, command: str, before: Site, change: Change | None) -> None:
        """Which of the ends that are allowed it is."""
        through = [before]
        if not before.hold:
            through += [model_changes.begun(before, makes=True, sweeps=sweeps) for sweeps in (False, True)]
        through += change.through if change is not None else ()
        facts = self.world.facts(before.releases)
        if self.midway and before.exists:
            facts["trees"] = dict(before.trees)
        given_back = [tree for tree in before.links if self.world.is_plain(tree)]
        if command == "unadopt" and given_back and change is not None:
            self.site = change.end
        else:
            found = [site for site in through if _fits(facts_of(site), facts)]
            assert found, f"killed, and now {facts}; allowed: {[facts_of(site) for site in through]}"
            self.site = found[0]
        served = self.site.now.versions if self.site.now else {}
        made = {tree for tree in self.site.trees if tree in served and self.world.public(tree).is_symlink()}
        self.site = replace(self.site, links=self.site.links | made)
        self.interrupted = True
        self.midway |= command in ("unadopt", "adopt") or (self.world.site.private / "moving").exists()

    def look(self) -> None:
        """Everything that can be looked at is what the model says."""
        for tree in TREES:
            seen, must = oracle.seen(self.world.public(tree)), self.site.shows(tree)
            assert seen == must, f"{tree} shows {seen}, and must show {must}"
        status, releases = self.world.looked()
        wanted_exit = 0 if self.site.exists else 10
        assert (status["exit"], releases["exit"]) == (wanted_exit, wanted_exit), f"{status}\n{releases}"
        if not self.site.exists:
            return
        state = status["state"]
        assert state == "rest" or (self.interrupted and state == "interrupted"), str(status)
        if not self.midway:
            is_, must_be = told(status, releases), wanted(self.site.settled())
            assert is_ == must_be, f"told: {is_}\nmust: {must_be}"

    # ------------------------------------------------------------ words

    def run(self, words: Sequence[str], kill: Kill | None = None) -> oracle.Answer:
        answer = self.world.run(*words, kill=kill)
        died = answer.code == KILLED
        self.say(f"treeswap {' '.join(words)}   # {kill if died else f'exit code {answer.code}'}")
        figures[words[0]] += 1
        figures["killed"] += died
        return answer

    def say(self, line: str) -> None:
        note("$ " + line.replace(str(self.world.root), "."))

    def here(self) -> list[str]:
        return ["--site", str(self.world.site.root)]


def _fits(site: dict[str, Any], facts: dict[str, Any]) -> bool:
    """Whether this is what the disk shows. What is on its way is not looked at."""
    if facts.get("uploads") is None:
        site, facts = {**site, "uploads": None}, {**facts, "uploads": None}
    return site == facts
