"""What must hold when a crowd has gone: judged from outside, once before anything is mended, and after one change."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .contention_content import Torn, check_label, generation_of
from .contention_world import World
from .oracle import Broken, looking_works, rests, sealed, seen, unchanged_versions, whole_records

LOOKING = (("releases", None), ("log", None))
_SWITCHED = ("switch", "adopt")


class Rest:
    """Looks at one site at rest, again and again. `versions` is what readers saw: the generation of each TREE/ID."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sealed: dict[str, dict[str, tuple[object, ...]]] = {}
        self.checks = 0

    def check(self, versions: Mapping[str, int], switched: Counter[str]) -> None:
        """`switched` counts the switches to each release that a command answered with."""
        world = self._world
        site, run = world.site, world.program.run
        other = (("status", "nobody"),) if os.geteuid() == 0 else ()
        looking_works(site, run, *LOOKING, *other)
        whole_records(site, world.known)
        self._unchanged()
        answer = run("recover", "--json", "--site", str(site.root))
        if answer.code != 0:
            raise Broken("a command after a crash works without help", str(answer))
        rests(site, run)
        self._unchanged()
        self._shows_current()
        self._releases(versions)
        self._journal(switched)
        self.checks += 1

    def _unchanged(self) -> None:
        now = sealed(self._world.site)
        unchanged_versions(self._sealed, now)
        self._sealed = now

    def _shows_current(self) -> None:
        site = self._world.site
        assert site.current is not None
        record = site.records()[site.current]
        for tree, path in site.public.items():
            content = seen(path)
            if content not in self._world.known[tree]:
                raise Broken(5, f"{path} shows what no generation is: {content}")
            served = any(version["tree"] == tree for version in record["versions"]) and path.is_symlink()
            if served and content != seen(site.version(record, tree)):
                raise Broken(1, f"{path} does not show the version of {site.current}")

    def _releases(self, versions: Mapping[str, int]) -> None:
        """Each release holds what it was made of, and its versions what readers saw in them."""
        site = self._world.site
        for id, record in site.records().items():
            shown = {}
            for version in record["versions"]:
                tree = version["tree"]
                shown[tree] = generation_of(tree, seen(site.version(record, tree)) or {})
                if versions.get(f"{tree}/{version['id']}", shown[tree]) != shown[tree]:
                    raise Broken(2, f"{tree} of {version['id']} showed another generation before")
            try:
                check_label(record["label"], shown)
            except Torn as torn:
                raise Broken(1, f"{id}: {torn}") from None

    def _journal(self, switched: Counter[str]) -> None:
        """Each switch stands in the journal, one after the other, and the last is what the link says."""
        site = self._world.site
        events = [json.loads(line) for line in (site.private / "journal.jsonl").read_text().splitlines()]
        ids = [id for event in events if event["event"] == "reserved" for id in event["ids"]]
        if any(one >= other for one, other in pairwise(ids)):
            raise Broken("ids only grow", str(ids))
        if not set(site.records()) <= set(ids):
            raise Broken(8, "a release has an id that was never reserved")
        if observed := [event for event in events if event["event"] == "observed"]:
            raise Broken(8, f"nobody moved `current` by hand: {observed}")
        done = [intent for intent in _carried_out(events) if intent["what"] in _SWITCHED]
        for one, other in pairwise(done):
            if one["to"] != other["from"]:
                raise Broken(8, f"a switch is missing between {one} and {other}")
        if not done or done[-1]["to"] != site.current:
            raise Broken(8, f"the link names {site.current}, and the last switch is {done[-1:]}")
        if missing := switched - Counter(intent["to"] for intent in done):
            raise Broken(8, f"commands said that they switched to {dict(missing)}, and the journal does not")


def _carried_out(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The intents that came to something. Each has its outcome before the next begins."""
    done = []
    opened: Mapping[str, Any] | None = None
    for event in events:
        if event["event"] == "intent":
            if opened is not None:
                raise Broken(7, f"an intent was left open: {opened}")
            opened = event
        elif event["event"] == "outcome":
            if opened is None:
                raise Broken(8, f"an outcome of no intent: {event}")
            done += [opened] if event["done"] else []
            opened = None
    if opened is not None:
        raise Broken(7, f"an intent was left open: {opened}")
    return done
