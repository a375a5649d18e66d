"""The states that a power loss can leave, by what a recorder saw: what is on each disk, and what had been said by then.

A crash comes after some event of the log. Everything before a device's last flush is on it; of the writes since then,
any may be and any may be missing, and of a large one any of its blocks.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .recorder import Event

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class State:
    """A crash after `at` events, with `lost` writes (event numbers) missing, and of the `torn` ones every second
    block."""

    at: int
    lost: frozenset[int] = frozenset()
    torn: frozenset[int] = frozenset()

    def __str__(self) -> str:
        words = [str(self.at), *(f"-{n}" for n in sorted(self.lost)), *(f"~{n}" for n in sorted(self.torn))]
        return ",".join(words)

    @classmethod
    def parse(cls, text: str) -> State:
        at, *words = text.split(",")
        lost = frozenset(int(word[1:]) for word in words if word[0] == "-")
        return cls(int(at), lost, frozenset(int(word[1:]) for word in words if word[0] == "~"))


class Tape:
    """A recording: its events, and the images that the disks started with, by name in the order of their numbers."""

    def __init__(self, events: Sequence[Event], images: Mapping[str, Path]) -> None:
        self.events, self.images = events, images
        self._marks = {e.data.decode(): number + 1 for number, e in reversed([*enumerate(events)]) if e.kind == "mark"}

    def marked(self, text: str) -> int | None:
        """The number of events up to and with the first such mark; None where there is none."""
        return self._marks.get(text)

    def says(self, state: State, text: str) -> bool:
        """Whether the mark had been made when this state came to be."""
        return (number := self._marks.get(text)) is not None and state.at >= number

    def pending(self) -> Iterator[list[int]]:
        """The writes that no flush had confirmed: before the first event, after it, after the second one, and so on."""
        open_: list[int] = []
        yield open_
        for number, event in enumerate(self.events):
            if event.kind in ("write", "zero"):
                open_ = [*open_, number]
            elif event.kind == "flush":
                open_ = [n for n in open_ if self.events[n].device != event.device]
            yield open_

    # ------------------------------------------------------------ which states

    def states(self, *, seed: str, subsets: int) -> list[State]:
        """Every prefix of the log from the mark `begin` on, what each leaves if nothing pending had arrived, and so
        many random subsets of what was pending then; no two alike."""
        randomness = random.Random(seed)
        found: dict[tuple[object, ...], State] = {}
        writes = marks = 0
        for at, pending in enumerate(self.pending()):
            if at > 0:
                writes += self.events[at - 1].kind in ("write", "zero")
                marks += self.events[at - 1].kind == "mark"
            if at < (self._marks.get("begin") or 0):
                continue
            chosen = [State(at), State(at, frozenset(pending))]
            chosen += [self._random(at, pending, randomness) for _ in range(subsets if pending else 0)]
            for state in chosen:
                # Two states are told apart by the writes on the disks, and by what had been said.
                key = (writes - len(pending), frozenset(pending) - state.lost, state.torn, marks)
                found.setdefault(key, state)
        return list(found.values())

    def _random(self, at: int, pending: Sequence[int], randomness: random.Random) -> State:
        share = randomness.choice((0.1, 0.5, 0.9))
        lost = frozenset(number for number in pending if randomness.random() < share)
        large = [n for n in pending if n not in lost and self.events[n].length > _BLOCK]
        torn = frozenset(number for number in large if randomness.random() < 0.2)
        return State(at, lost, torn)

    # ------------------------------------------------------------ what is on the disks then

    def build(self, states: Iterable[State], room: Path) -> Iterator[tuple[State, dict[str, Path]]]:
        """The images of each state, one after the other in the directory `room`; the next one takes their place."""
        names = list(self.images)
        stable = {name: room / f"{name}.stable" for name in names}
        for name, path in stable.items():
            copy_sparse(self.images[name], path)
        done = 0
        wanted = iter(sorted(states, key=lambda state: state.at))
        state = next(wanted, None)
        for at, pending in enumerate(self.pending()):
            while state is not None and state.at == at:
                # What is pending now may be confirmed later: what all later states have ends at the first of it.
                stop = pending[0] if pending else at
                for number, name in enumerate(names):
                    self._apply(range(done, stop), number, stable[name], frozenset())
                done = max(done, stop)
                there = [n for n in range(done, at) if n not in state.lost]
                images = {name: room / f"{name}.state" for name in names}
                for number, name in enumerate(names):
                    copy_sparse(stable[name], images[name])
                    self._apply(there, number, images[name], state.torn)
                yield state, images
                state = next(wanted, None)

    def _apply(self, numbers: Iterable[int], device: int, image: Path, torn: frozenset[int]) -> None:
        fd = os.open(image, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for number in numbers:
                event = self.events[number]
                if event.device != device or event.kind not in ("write", "zero"):
                    continue
                data = event.data if event.kind == "write" else bytes(event.length)
                if number in torn:
                    for at in range(0, len(data), 2 * _BLOCK):
                        os.pwrite(fd, data[at : at + _BLOCK], event.offset + at)
                else:
                    os.pwrite(fd, data, event.offset)
        finally:
            os.close(fd)


def copy_sparse(source: Path, target: Path) -> None:
    """A copy that leaves the holes of a file out: nearly all of a young filesystem is one."""
    old = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(old).st_size
        os.ftruncate(new, size)
        at = 0
        while at < size:
            try:
                begin = os.lseek(old, at, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole is left
                return
            at = os.lseek(old, begin, os.SEEK_HOLE)
            os.pwrite(new, os.pread(old, at - begin, begin), begin)
    finally:
        os.close(old)
        os.close(new)
