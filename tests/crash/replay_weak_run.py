"""Power losses in stories on the weakest filesystem (`replay_weak`), in a process of its own that needs root.

python -m crash.replay_weak_run states adopt --quick 60   a sample of the states; crash.effort says more
python -m crash.replay_weak_run omit [PLACE …]            is each sync of the program missed, when it is left out?
python -m crash.replay_weak_run one FILE STATE            one state of a recording that was kept

Each story is played with all on one filesystem, and with a tree on a second one: as it is; killed somewhere, and then
recovered from; and recovered from after a power loss. The power goes in each of these, too.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .effort import is_full, sample, seed
from .replay_play import Player, Take, played, played_as_it_is, played_with_recoveries
from .replay_story import STORIES, Stage, open_room
from .replay_syncs import KINDS
from .replay_weak import State

# ---------------------------------------------------------------- states


def states(options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    room = open_room([], options.story).room
    judged = possible = takes = 0
    bad: list[str] = []
    kills, again = (options.full_kills, options.full_kills) if is_full() else (options.kills, options.kills)
    for player, take in played(options.story, room, kills, again):
        everything = [*take.states(20 if is_full() else 5).values()]
        quick, full = (options.quick, options.full) if take.begin == 0 and take.way == "as it is" else (12, 40)
        chosen = sample(everything, quick=quick, full=full, salt=f"{options.story} {take.way}")
        found = [*player.judge(take, chosen, each=options.each)]
        if found:
            kept = _keep(player, take)
            bad += [_told(kept, take, *finding) for finding in found]
        takes, judged, possible = takes + 1, judged + len(chosen), possible + len(everything)
    seconds = round(time.monotonic() - began, 1)
    return {"judged": judged, "possible": possible, "takes": takes, "seconds": seconds, "bad": bad}


def _keep(player: Player, take: Take) -> Path:
    """The recording, outside of this process's own memory."""
    kept = Path(tempfile.mkdtemp(prefix="treeswap-power-")) / "take"
    with kept.open("wb") as opened:
        pickle.dump((player.stage.name, len(player.stage.kinds), take), opened)
    return kept


def _told(kept: Path, take: Take, state: State, problem: str) -> str:
    command = f"cd tests && python -m crash.replay_weak_run one {kept} {state}"
    return f"{take.way}, {state}: {problem}\n  again: {command}"


def one(options: argparse.Namespace) -> dict[str, Any]:
    name, mounts, take = pickle.loads(options.file.read_bytes())
    stage = Stage(["memory"] * mounts, name, open_room([], name).room)
    with stage.in_memory() as world:
        turns = [*Player(stage, world).judge(take, [options.state] * 3, each=1)]
        return {"bad": [problem for _, problem in turns]}


# ---------------------------------------------------------------- omit


def omit(options: argparse.Namespace) -> dict[str, Any]:
    """For each place that asks for a sync in any story, and for each kind of sync, the first bad state that its
    omission leads to, or null."""
    missed: dict[str, str | None] = {}
    room = open_room([], "copy-first").room
    for player, take in _all_played(room):
        wanted = [place for place in (*take.recording.places(), *KINDS) if not missed.get(place)]
        wanted = [place for place in wanted if not options.places or place in options.places]
        missed |= dict.fromkeys(wanted)
        whole = {*take.states(3)} if wanted else set()
        for place in wanted:
            missed[place] = _first_bad(player, take, place, whole, options.going_on)
    return dict(missed)


_RECOVERED = ("rollback", "prune", "adopt", "unadopt")
"""Between them they have every way to recover."""


def _all_played(room: Path) -> Iterator[tuple[Player, Take]]:
    for name in STORIES:
        yield from played_as_it_is(name, room)
    for name in _RECOVERED:
        yield from played_with_recoveries(name, room)


def _first_bad(player: Player, take: Take, place: str, whole: set[tuple[int, bool]], going_on: int) -> str | None:
    """Only what the sync would have kept from being is looked at; in some of it the program goes on."""
    more = [state for key, state in take.states(3, place).items() if key not in whole]
    some = random.Random(seed()).sample(more, min(going_on, len(more)))
    for states, each in ((more, 0), (some, 1)):
        for state, problem in player.judge(take, states, each=each):
            return f"{player.stage.name}, {take.way}, {state}: {problem}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    sub = verbs.add_parser("states")
    sub.set_defaults(verb=states)
    sub.add_argument("story", choices=STORIES)
    sub.add_argument("--quick", type=int, default=60, help="how many states of a recording in a sample")
    sub.add_argument("--full", type=int, default=None, help="how many with TREESWAP_CRASH=full")
    sub.add_argument("--kills", type=int, default=1, help="how many recoveries, after a kill and after a power loss")
    sub.add_argument("--full-kills", type=int, default=5)
    sub.add_argument("--each", type=int, default=10, help="in every how-manieth state the program goes on")
    sub = verbs.add_parser("omit")
    sub.set_defaults(verb=omit)
    sub.add_argument("--going-on", type=int, default=6, help="in how many states the program goes on")
    sub.add_argument("places", nargs="*")
    sub = verbs.add_parser("one")
    sub.set_defaults(verb=one)
    sub.add_argument("file", type=Path)
    sub.add_argument("state", type=State.parse)
    options = parser.parse_args()
    print(json.dumps(options.verb(options), indent=1))


if __name__ == "__main__":
    main()
