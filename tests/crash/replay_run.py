"""Power losses in one story, in a process of their own that needs root; answers with one JSON object.

python -m crash.replay_run states ext4 copy-later --hurry 1 --quick 40   a sample of the states; crash.effort says more
python -m crash.replay_run omit ext4+xfs adopt --hurry 1 -- PLACE …      is a sync missed that the program leaves out?
python -m crash.replay_run one DIRECTORY STATE                           one state of a recording that was kept
python -m crash.replay_run locks                                         locks of two filesystems, told apart?
python -m crash.replay_run mounts                                        is a version seen that is mounted elsewhere?
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from treeswap import occupants
from treeswap.lock import Lock, holder

from . import recorder_disk
from .effort import is_full, sample, seed
from .recorder import events
from .replay import State, Tape, copy_sparse
from .replay_story import RETURNED, STORIES, Finding, Stage, open_room
from .replay_syncs import OMITTED, Way


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    for name, verb in (("states", states), ("omit", omit)):
        sub = verbs.add_parser(name)
        sub.set_defaults(verb=verb)
        sub.add_argument("kinds")
        sub.add_argument("story", choices=STORIES)
        sub.add_argument("--hurry", type=int, nargs="+", default=[0])
        sub.add_argument("--quick", type=int, default=40, help="how many states in a sample")
        sub.add_argument("--full", type=int, default=None, help="how many with TREESWAP_CRASH=full")
        sub.add_argument("--each", type=int, default=1, help="in every how-manieth state the program goes on")
        sub.add_argument("--again", type=int, default=0, help="from how many states a recovery is recorded, too")
        if name == "omit":
            sub.add_argument("places", nargs="+")
    sub = verbs.add_parser("one")
    sub.set_defaults(verb=one)
    sub.add_argument("directory", type=Path)
    sub.add_argument("state", type=State.parse)
    sub.add_argument("--turn", type=int, default=None, help="0 recovers, 1 rolls back, 2 copies; else all three")
    verbs.add_parser("locks").set_defaults(verb=locks)
    verbs.add_parser("mounts").set_defaults(verb=mounts)
    options = parser.parse_args()
    print(json.dumps(options.verb(options), indent=1))


# ---------------------------------------------------------------- states


def states(options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    stage = open_room(options.kinds.split("+"), options.story)
    stage.set_up()
    judged = possible = 0
    bad = []
    for hurry in options.hurry:
        way = Way(hurry)
        tape = stage.record(way)
        everything = tape.states(seed=seed(), subsets=3 if is_full() else 1)
        chosen = sample(
            everything, quick=options.quick, full=options.full, salt=f"{options.kinds} {options.story} {way}"
        )
        chosen = list(dict.fromkeys([*_just_returned(tape, everything), *chosen]))
        found = list(stage.judge(tape, chosen, each=options.each))
        if found:
            kept = _keep(stage, tape)
            bad += [_told(kept, way, finding) for finding in found]
        judged, possible = judged + len(chosen), possible + len(everything)
        for state in random.Random(seed()).sample(everything, options.again):
            again, second, shown = stage.recovering(tape, state, way)
            further = second.states(seed=seed(), subsets=1)
            chosen = random.Random(seed()).sample(further, min(len(further), _FURTHER))
            found = list(again.judge(second, chosen, each=options.each, shown=shown))
            if found:
                kept = _keep(again, second, shown)
                bad += [f"recovered from {state}, {_told(kept, way, finding)}" for finding in found]
            judged, possible = judged + len(chosen), possible + len(further)
    return {
        "judged": judged,
        "possible": possible,
        "seconds": round(time.monotonic() - began, 1),
        "bad": bad,
    }


_FURTHER = 25
"""How many states of a recovery are judged."""


def _just_returned(tape: Tape, everything: Sequence[State]) -> list[State]:
    """What there is if the power goes in the moment in which the command has returned."""
    return [state for state in everything if state.at == tape.marked(RETURNED)][:2]


def _told(kept: Path, way: Way, finding: Finding) -> str:
    command = f"cd tests && python -m crash.replay_run one {kept} {finding.state}"
    return f"{way}, {finding.state}: {finding.problem}\n  again: {command}"


# ---------------------------------------------------------------- omit


def omit(options: argparse.Namespace) -> dict[str, Any]:
    """For each place the first bad state that its omission leads to, or null."""
    stage = open_room(options.kinds.split("+"), options.story)
    stage.set_up()
    return {place: _first_bad(stage, place, options) for place in options.places}


def _first_bad(stage: Stage, place: str, options: argparse.Namespace) -> str | None:
    for hurry in options.hurry:
        way = Way(hurry, place)
        tape = stage.record(way)
        finding = next(stage.judge(tape, _telling(tape, options.quick), each=options.each), None)
        if finding is not None:
            return f"{way}, {finding.state}: {finding.problem}"
    return None


def _telling(tape: Tape, number: int) -> list[State]:
    """The states that are likeliest to miss a sync: soon after it was left out, and after the command returned."""
    omitted = tape.marked(OMITTED)
    if omitted is None:
        raise ValueError("nothing asked for the sync that was to be left out")
    everything = [state for state in tape.states(seed=seed(), subsets=3) if state.at >= omitted]
    returned = [state for state in everything if tape.says(state, RETURNED)]
    soon = [state for state in everything if state.at < omitted + 60]
    randomness = random.Random(seed())
    chosen: dict[State, None] = {}
    for group in (returned, soon, everything):
        chosen |= dict.fromkeys(randomness.sample(group, min(number // 3, len(group))))
    return list(dict.fromkeys([*_just_returned(tape, everything), *chosen]))


# ---------------------------------------------------------------- one, again


def _keep(stage: Stage, tape: Tape, shown: str | None = None) -> Path:
    """The recording, outside of this process's own memory."""
    kept = Path(tempfile.mkdtemp(prefix="treeswap-power-"))
    for name, image in tape.images.items():
        copy_sparse(image, kept / name)
    shutil.copy(stage.room / "log", kept / "log")
    (kept / "story").write_text(json.dumps(["+".join(stage.kinds), stage.name, shown]))
    return kept


def one(options: argparse.Namespace) -> dict[str, Any]:
    kinds, name, shown = json.loads((options.directory / "story").read_text())
    stage = open_room(kinds.split("+"), name)
    for number, _ in enumerate(stage.kinds):
        stage.images[f"disk{number}"] = stage.room / f"disk{number}.base"
        copy_sparse(options.directory / f"disk{number}", stage.images[f"disk{number}"])
    tape = Tape([*events(options.directory / "log")], stage.images)
    turns = [0, 1, 2] if options.turn is None else [options.turn]
    found = {turn: stage.judge(tape, [options.state], turn=turn, shown=shown) for turn in turns}
    return {f"turn {turn}": [finding.problem for finding in findings] for turn, findings in found.items()}


# ---------------------------------------------------------------- locks and mounts


def locks(_: argparse.Namespace) -> dict[str, Any]:
    """Who holds each of two locks that have the same inode number, on two filesystems, when one of them is held."""
    stage = open_room(["ext4", "ext4"], "copy-first")
    for name in ("disk0", "disk1"):
        stage.images[name] = stage.room / name
        recorder_disk.make_image("ext4", stage.images[name])
    with stage.mounted(stage.images) as world:
        held, free = (mount / "deploy.lock" for mount in world.mounts())
        free.touch()
        with Lock.take(held, doing="deploy", by="somebody", clock=lambda: datetime.now(UTC)):
            return {
                "inodes": [held.stat().st_ino, free.stat().st_ino],
                "holders": [str(who) if (who := holder(path)) else None for path in (held, free)],
            }


def mounts(_: argparse.Namespace) -> dict[str, Any]:
    """Which device a directory on btrfs is on, by stat(2) and by the kernel's list of mounts, and whether the directory
    counts as held when it is mounted elsewhere, and when it is not."""
    stage = open_room(["btrfs"], "copy-first")
    stage.images["disk0"] = stage.room / "disk0"
    recorder_disk.make_image("btrfs", stage.images["disk0"])
    with stage.mounted(stage.images) as world:
        version, elsewhere = world.main / "20261122180102", stage.room / "mount1"
        version.mkdir()
        nobody = occupants.is_held(version, ())
        with recorder_disk.bound(version, elsewhere):
            number = os.stat(version).st_dev
            last = Path("/proc/self/mountinfo").read_text().splitlines()[-1]
            devices = [f"{os.major(number)}:{os.minor(number)}", last.split(" ")[2]]
            return {"devices": devices, "held": [nobody, occupants.is_held(version, ())]}


if __name__ == "__main__":
    main()
