"""What must hold in a state that a power loss left, and how the program goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from . import oracle
from .oracle import Answer, Broken
from .replay_world import LABELS, SHARED, TREES, World


@dataclass(frozen=True, slots=True)
class Expected:
    """What a state may show: one of these labels. `plain`: the public paths of these trees
    must be directories again. `most`: how many releases there may be. `rest`: the journal may have nothing open, since
    the command had returned. `told`: it says of each release that was served and is gone that it was removed."""

    labels: Sequence[str]
    plain: Sequence[str] = ()
    most: int | None = None
    rest: bool = False
    told: bool = False


def check(world: World, expected: Expected, turn: int | None) -> str | None:
    """What is wrong with a state, or None. It is looked at first; then, by `turn`, the program recovers, rolls back, or
    goes straight on to the next copy, after which nothing may be left of what was interrupted. None: only looked at."""
    # RuntimeError: pathlib says so of a link that leads to itself.
    try:
        before = _look(world, expected)
        if turn is None:
            return None
        if turn % 3 == 0:
            with _told("after `recover`"):
                _recover(world, before)
        elif turn % 3 == 1:
            with _told("after `rollback`"):
                _roll_back(world)
        with _told("after the next `copy`"):
            _go_on(world)
    except (Broken, OSError, ValueError, RuntimeError) as problem:
        return f"{type(problem).__name__}: {problem}"
    return None


def _look(world: World, expected: Expected) -> str:
    label = oracle.whole_release(world.site, {label: world.known()[label] for label in expected.labels})
    if any(world.public(tree).is_symlink() for tree in expected.plain):
        raise Broken("durable: `unadopt` had returned", "a public path is a link")
    if left := {tree["name"] for tree in _site_json(world)["trees"]} & {*expected.plain}:
        raise Broken("durable: `unadopt` had returned", f"site.json has {', '.join(left)}")
    _whole(world)
    _journalled_ids(world)
    _shared(world)
    ids = sorted(world.site.records())
    if expected.most is not None and len(ids) > expected.most:
        raise Broken("durable: the command had returned", f"there are records of {', '.join(ids)}")
    if expected.told:
        _told_of(world, ids)
    if expected.rest and (open_ := _open_intent(world)):
        raise Broken(
            "durable: the command had returned", f"the journal ends with an intent that has no outcome: {open_}"
        )
    _moving(world, expected)
    return label


def _site_json(world: World) -> dict[str, Any]:
    path = world.site.private / "site.json"
    return dict(json.loads(path.read_bytes())) if path.exists() else {"trees": []}


def _told_of(world: World, ids: Sequence[str]) -> None:
    events = _journal(world)
    gone = {str(event["to"]) for event in events if event["event"] == "intent" and event["to"]} - {*ids}
    told = {id for event in events for id in event.get("ids", ()) if event["event"] == "removed"}
    if gone - told:
        raise Broken(8, f"the command had returned, and the journal does not say that {', '.join(gone - told)} went")


def _moving(world: World, expected: Expected) -> None:
    """The mark of an adoption on its way: nobody can hold a release while it is there."""
    path = world.site.private / "moving"
    if not path.exists():
        return
    if expected.rest:
        raise Broken("durable: the command had returned", f"{path} is there")
    open_ = _open_intent(world)
    if open_ and json.loads(open_)["to"] != path.read_text().strip():
        raise Broken("what is being adopted is told", f"{path} reads {path.read_text()!r} in {open_}")


def _journalled_ids(world: World) -> None:
    """An id is journalled before anything has it for a name: else the next release might get the same."""
    reserved = {id for event in _journal(world) for id in event.get("ids", ())}
    rooms = [world.root / "releases", world.root / "run", world.site.private / "leases"]
    rooms += [world.site.trees_dirs.get(tree, world.root / "trees" / tree) for tree in TREES]
    for room in rooms:
        for path in room.iterdir() if room.is_dir() else ():
            if path.name.isdigit() and path.name not in reserved:
                raise Broken(
                    "an id is journalled before it is used", f"{path} is there, and the journal has not its id"
                )


def _shared(world: World) -> None:
    """What is shared is there as a whole or not yet: the next deploy takes it as it is."""
    tree, name = SHARED
    path = world.root / "shared" / tree / name
    is_there = world.shared and path.parent.is_dir() and not path.parent.is_symlink()
    if is_there and path.read_bytes() != world.upload(tree)[name]:
        raise Broken("a shared path is whole or not there", f"{path} is not what was there before")


def _open_intent(world: World) -> str | None:
    """The last intent of the journal, if no outcome came after it."""
    last = [event for event in _journal(world) if event["event"] in ("intent", "outcome")][-1:]
    return json.dumps(last[0]) if last and last[0]["event"] == "intent" else None


def _journal(world: World) -> list[dict[str, Any]]:
    """The whole lines of the journal; a torn last one does not count."""
    path = world.site.private / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    events = [json.loads(line) for line in lines[:-1]]
    with suppress(ValueError):
        events += [json.loads(line) for line in lines[-1:]]
    return events


def _recover(world: World, before: str) -> None:
    oracle.looking_works(world.site, world.run)
    # 10: a first copy that had not come as far as a site.
    _answers(world.run("recover", "--site", str(world.root)), 0, 10)
    oracle.whole_release(world.site, {before: world.known()[before]})
    _whole(world)


def _roll_back(world: World) -> None:
    # 15: there is nothing to roll back to.
    _answers(world.run("rollback", "--site", str(world.root)), 0, 10, 15)
    oracle.whole_release(world.site, world.known())
    _whole(world)


def _go_on(world: World) -> None:
    _answers(world.run(*world.copying("next", "--adopt", "--add", "--grace", "0")), 0)
    oracle.whole_release(world.site, {"next": world.known()["next"]})
    _whole(world)
    oracle.rests(world.site, world.run)


def _whole(world: World) -> None:
    known = world.known()
    oracle.whole_records(world.site, {tree: [known[label][tree] for label in LABELS] for tree in TREES})
    for id, record in world.site.records().items():
        for version in record["versions"]:
            manifest = world.site.private / "manifests" / version["tree"] / version["id"]
            if hashlib.sha256(manifest.read_bytes()).hexdigest() != version["manifest"]:
                raise Broken(3, f"the record of {id} is there, and {manifest} is not what was sealed")
        if not (world.site.private / "leases" / id).exists():
            raise Broken("a release can be held", f"the record of {id} is there, and its lease is not")


def _answers(answer: Answer, *codes: int) -> None:
    if answer.code not in codes or "Traceback" in answer.err:
        raise Broken("the next command works", str(answer))


@contextmanager
def _told(when: str) -> Iterator[None]:
    try:
        yield
    except Broken as problem:
        raise Broken(when, str(problem)) from None
