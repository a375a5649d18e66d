"""A story played to be judged on the weakest filesystem: as it is, killed and recovered from, recovered from after a
power loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import oracle
from .effort import seed
from .program import KILLED
from .replay_check import Expected, check
from .replay_story import Stage
from .replay_watch import Event, Look, Sync, root_of, watched
from .replay_weak import Recording, State
from .replay_world import World


@dataclass(frozen=True, slots=True)
class Take:
    """A story as it was played once: the recording, from which event on the power may go, what is expected meanwhile,
    and in the end."""

    way: str
    recording: Recording
    begin: int
    meanwhile: Expected
    returned: Expected

    def expected(self, state: State) -> Expected:
        return self.returned if state.at == len(self.recording.events) else self.meanwhile

    def states(self, subsets: int, without: str | None = None) -> dict[tuple[int, bool], State]:
        """Those that differ, by what they show."""
        randomness = random.Random(seed())
        found: dict[tuple[int, bool], State] = {}
        for moment in self.recording.moments(without):
            if moment.at >= self.begin:
                for state in self.recording.states(moment, randomness, subsets):
                    key = (self.recording.key(state), state.at == len(self.recording.events))
                    found.setdefault(key, state)
        return found


@dataclass(frozen=True, slots=True)
class Player:
    stage: Stage
    world: World

    def play(self) -> Take:
        story = self.stage.story
        with story.proof(self.world):
            before, events = self._watched(story.words(self.world), told=True)
        recording = Recording(root_of(self.world.mounts()), before, events)
        return Take("as it is", recording, 0, story.expected(returned=False), story.expected(returned=True))

    def play_killed(self, first: Take, *last: int) -> Take:
        """From the same beginning, killed at that event, and then recovered from; or the recovery killed at the next
        one, and recovered from again."""
        self._begin(first, State(0, {}))
        before, events = self._watched(self.stage.story.words(self.world), last=last[0], told=True)
        for number in last[1:]:
            events += self._watched(self._recovering(), last=number)[1]
        way = f"killed at {', '.join(map(str, last))}, then recovered"
        return self._recovered(way, before, events, self.stage.story.expected(returned=False))

    def play_recovery(self, first: Take, state: State) -> Take:
        """Recovered from what a power loss has left."""
        self._begin(first, state)
        shown = oracle.whole_release(self.world.site, self.world.known())
        return self._recovered(f"recovered from {state}", None, [], Expected((shown,)))

    def _begin(self, first: Take, state: State) -> None:
        first.recording.lay_out(state, self.world.mounts())

    def _recovered(self, way: str, before: Look | None, events: list[Event], meanwhile: Expected) -> Take:
        roots = root_of(self.world.mounts())
        there, more = self._watched(self._recovering())
        label = oracle.whole_release(self.world.site, self.world.known())
        recording = Recording(roots, before if before is not None else there, [*events, *more])
        # What a killed process had just written is found, and nothing is done about it: a power loss may undo that.
        rest = not before or not self._has_loose_ends(Recording(roots, before, events))
        return Take(way, recording, len(events), meanwhile, Expected((label,), rest=rest))

    def _has_loose_ends(self, killed: Recording) -> bool:
        """Whether the journal, or the directory in which it is, was not all on the disk in the end."""
        private = self.world.site.private
        files = [path for path in (private, private / "journal.jsonl") if path.exists()]
        *_, end = killed.moments()
        return not {(0, path.stat().st_ino) for path in files}.isdisjoint(end.pending())

    def _recovering(self) -> list[str]:
        return ["recover", "--site", str(self.world.root)]

    def _watched(self, words: list[str], *, last: int | None = None, told: bool = False) -> tuple[Look, list[Event]]:
        """`told`: the story's own command, as it is told; else it is a recovery."""
        story = self.stage.story

        def run(begin: Callable[[], None]) -> None:
            def first() -> None:
                if told:
                    story.meddle(self.world)
                begin()

            answer = self.world.run(*words, before=first)
            # 10: a first copy that had not come as far as a site.
            codes = (story.code,) if told else (0, 10)
            if answer.code not in (*codes, *((KILLED,) if last else ())):
                raise RuntimeError(str(answer))

        return watched(self.world.mounts(), self.stage.room / "watch", run, last)

    def judge(self, take: Take, states: Sequence[State], *, each: int, turn: int = 0) -> Iterator[tuple[State, str]]:
        for number, state in enumerate(states):
            take.recording.lay_out(state, self.world.mounts())
            goes_on = turn + number // each if each and number % each == 0 else None
            if problem := check(self.world, take.expected(state), goes_on):
                yield state, problem


def played(name: str, room: Path, kills: int, again: int) -> Iterator[tuple[Player, Take]]:
    """A story in every way: so many kills and so many power losses before a recovery."""
    for player, first in played_as_it_is(name, room):
        yield player, first
        randomness = random.Random(f"{seed()} {name}")
        numbers = range(1, len(first.recording.events))
        for last in sorted(randomness.sample(numbers, min(kills, len(numbers)))):
            yield player, player.play_killed(first, last)
        states = [*first.states(2).values()]
        for state in randomness.sample(states, min(again, len(states))):
            yield player, player.play_recovery(first, state)


def played_as_it_is(name: str, room: Path) -> Iterator[tuple[Player, Take]]:
    """A story with all on one filesystem, and with a tree on another one."""
    for kinds in (["memory"], ["memory", "memory"]):
        stage = Stage(kinds, name, room)
        with stage.in_memory() as world:
            player = Player(stage, world)
            yield player, player.play()


def played_with_recoveries(name: str, room: Path) -> Iterator[tuple[Player, Take]]:
    """A story killed once at each place that asks for a sync, before it and after it, and the last of the recoveries
    that differ at each of their own; and recovered from where each file was torn."""
    player, first = next(played_as_it_is(name, room))
    ways: dict[tuple[str, ...], int] = {}
    for last in _places(first):
        take = player.play_killed(first, last)
        yield player, take
        ways[tuple(take.recording.places(take.begin))] = last
    for last in ways.values():
        for number in _places(player.play_killed(first, last), since_begin=True):
            yield player, player.play_killed(first, last, number)
    for state in first.states(0).values():
        if len(state.lost) == 1 and min(state.lost.values()) < 0:
            yield player, player.play_recovery(first, state)


def _places(take: Take, *, since_begin: bool = False) -> list[int]:
    """How many events there are before the first sync of each place, and after it."""
    events = take.recording.events[take.begin if since_begin else 0 :]
    found: dict[str, int] = {}
    for number, event in enumerate(events, 1):
        if isinstance(event, Sync):
            found.setdefault(event.place, number)
    return sorted({n for number in found.values() for n in (number, number + 1) if n < len(events)})
