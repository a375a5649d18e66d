"""The weakest filesystem that POSIX allows, as a model: the states that a power loss can leave on it.

Real filesystems write names out in about the order in which they were made, so that a later sync carries earlier
changes along. None promises it. In this model

- each directory has its own order of changes, and any beginning of it may be on the disk, however little or much is of
  another directory: only its own fsync, or a syncfs, says what must be;
- a rename within a directory is one step, and so is one between two directories, and an exchange: both or none;
- of what was written to a file and not synced any part may be there, or zeros in its stead: only its own fsync or a
  syncfs says more. An fsync of a file says nothing about its name, that of a directory nothing about what it names;
- a symlink has its text from the beginning, and a new file or directory is empty.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .replay_watch import UNCHANGED, Event, Id, Inode, Look, Step


def _half(durable: int) -> int:
    """Of what was written to a file after this version only the first half is there."""
    return -1 - 2 * durable


def _zeros(durable: int) -> int:
    """The file has got its length, and after this version's content zeros."""
    return -2 - 2 * durable


@dataclass(frozen=True, slots=True)
class State:
    """A crash after `at` events. `lost` says of which directory only so many of its changes are there, and which of its
    contents a file has, or that it is torn (a negative number); the others are as they were at that moment."""

    at: int
    lost: Mapping[Id, int]

    def __str__(self) -> str:
        return ",".join([str(self.at), *(f"{mount}/{inode}={k}" for (mount, inode), k in self.lost.items())])

    @classmethod
    def parse(cls, text: str) -> State:
        at, *words = text.split(",")
        pairs = (word.replace("/", "=").split("=") for word in words)
        return cls(int(at), {(int(mount), int(inode)): int(k) for mount, inode, k in pairs})


@dataclass(slots=True)
class _Life:
    """An inode's versions: with the number of the event that made each, and with whom each is one step."""

    versions: list[Inode] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    tied: dict[int, list[tuple[Id, int]]] = field(default_factory=dict)

    def latest(self, at: int) -> int:
        """The last version after so many events; -1 before there was any."""
        return sum(1 for number in self.at if number < at) - 1


@dataclass(frozen=True, slots=True)
class Moment:
    """Between two syncs, at the end: what must be there, and what can be, by inode, as numbers of versions."""

    at: int
    durable: Mapping[Id, int]
    latest: Mapping[Id, int]

    def pending(self) -> list[Id]:
        return [id for id, number in self.latest.items() if self.durable[id] < number]


class Recording:
    """A command as it was watched: what there was before it, and what happened."""

    def __init__(self, roots: Sequence[Id], before: Look, events: Sequence[Event]) -> None:
        self.roots, self.before, self.events = roots, before, events
        self._lives: dict[Id, _Life] = {id: _Life([inode], [-1]) for id, inode in before.items()}
        for number, event in enumerate(events):
            if isinstance(event, Step):
                self._add(number, event)

    def places(self, begin: int = 0) -> dict[str, None]:
        """Those that asked for a sync."""
        return dict.fromkeys(event.place for event in self.events[begin:] if not isinstance(event, Step))

    def _add(self, number: int, step: Step) -> None:
        left: dict[Id, list[Id]] = {}
        came: dict[Id, list[Id]] = {}
        for id, inode in step.changed.items():
            life = self._lives.get(id)
            if life is None:
                life = self._lives[id] = _Life()
                if not isinstance(inode.content, str):
                    empty: bytes | dict[str, Id] = b"" if isinstance(inode.content, bytes) else {}
                    life.versions.append(replace(inode, content=empty))
                    life.at.append(number)
            before, now = (life.versions[-1].content if life.versions else None), inode.content
            if isinstance(before, Mapping) and isinstance(now, Mapping):
                old, new = set(before.values()), set(now.values())
                for one in old - new:
                    left.setdefault(one, []).append(id)
                for one in new - old:
                    came.setdefault(one, []).append(id)
            if not life.versions or life.versions[-1] != inode:
                life.versions.append(inode)
                life.at.append(number)
        for one in left.keys() & came.keys():
            ends = [*left[one], *came[one]]
            for id in ends:
                life = self._lives[id]
                mates = [(mate, len(self._lives[mate].versions) - 1) for mate in ends if mate != id]
                life.tied.setdefault(len(life.versions) - 1, []).extend(mates)

    # ------------------------------------------------------------ what is durable when

    def moments(self, without: str | None = None) -> Iterator[Moment]:
        """Before each sync, when most can be lost, and the end. `without` the syncs of one place, or of one kind."""
        durable = dict.fromkeys(self.before, 0)
        for number, event in enumerate(self.events):
            if isinstance(event, Step):
                for id in event.changed:
                    durable.setdefault(id, 0)
            elif without not in (event.place, event.kind):
                yield self._moment(number, durable)
                covered = [event.what] if isinstance(event.what, tuple) else [i for i in durable if i[0] == event.what]
                for id in covered:
                    if id in self._lives:
                        self._require(durable, id, self._lives[id].latest(number))
        yield self._moment(len(self.events), durable)

    def _moment(self, at: int, durable: Mapping[Id, int]) -> Moment:
        return Moment(at, dict(durable), {id: self._lives[id].latest(at) for id in durable})

    def _require(self, durable: dict[Id, int], id: Id, number: int) -> None:
        """What was one step with a change that is there is there, with all that came before it."""
        before, durable[id] = durable.get(id, 0), max(durable.get(id, 0), number)
        for step in range(before + 1, number + 1):
            for mate, its in self._lives[id].tied.get(step, ()):
                if durable.get(mate, 0) < its:
                    self._require(durable, mate, its)

    # ------------------------------------------------------------ which states

    def states(self, moment: Moment, randomness: random.Random, subsets: int) -> Iterator[State]:
        """All there; nothing there that was not synced; of one directory or file less than of the others, or more;
        and so many at random."""
        pending = moment.pending()
        nothing = {id: moment.durable[id] for id in pending}
        yield self._state(moment, {})
        yield self._state(moment, nothing)
        for id in pending:
            if self._is_directory(id):
                for number in range(moment.durable[id], moment.latest[id]):
                    yield self._state(moment, {id: number})
                    yield self._state(moment, self._with(nothing, moment, id, number + 1))
            else:
                for choice in (moment.durable[id], *self._torn(moment, id)):
                    yield self._state(moment, {id: choice})
        for _ in range(subsets if pending else 0):
            yield self._state(moment, self._random(moment, pending, randomness))

    def _random(self, moment: Moment, pending: Sequence[Id], randomness: random.Random) -> dict[Id, int]:
        share = randomness.choice((0.1, 0.5, 0.9))
        lost: dict[Id, int] = {}
        for id in pending:
            if randomness.random() < share:
                numbers = range(moment.durable[id], moment.latest[id])
                lost[id] = randomness.choice([*numbers, *self._torn(moment, id)])
        return lost

    def _torn(self, moment: Moment, id: Id) -> list[int]:
        is_file = isinstance(self._lives[id].versions[0].content, bytes)
        return [_half(moment.durable[id]), _zeros(moment.durable[id])] if is_file else []

    def _is_directory(self, id: Id) -> bool:
        return isinstance(self._lives[id].versions[0].content, Mapping)

    def _with(self, lost: Mapping[Id, int], moment: Moment, id: Id, number: int) -> dict[Id, int]:
        """So many changes of one directory there, and those that are one step with them."""
        there = {**moment.latest, **lost}
        self._require(there, id, number)
        return {id: k for id, k in there.items() if k != moment.latest[id]}

    def _state(self, moment: Moment, lost: Mapping[Id, int]) -> State:
        """What was one step with a change that is lost is lost, with all that came after it."""
        there = {**moment.latest, **lost}
        again = True
        while again:
            again = False
            for id in moment.pending():
                for step, mates in self._lives[id].tied.items():
                    if there[id] < step <= moment.latest[id]:
                        for mate, its in mates:
                            if there[mate] >= its:
                                there[mate], again = its - 1, True
        kept = {id: k for id, k in there.items() if k != moment.latest[id]}
        return State(moment.at, dict(sorted(kept.items())))

    # ------------------------------------------------------------ what there is then

    def inode(self, state: State, id: Id) -> Inode:
        life = self._lives[id]
        latest = life.latest(state.at)
        choice = state.lost.get(id, latest)
        if choice >= 0:
            return life.versions[choice]
        inode, old = life.versions[latest], life.versions[(-choice - 1) // 2].content
        assert isinstance(inode.content, bytes) and isinstance(old, bytes)
        # Bytes that no write has changed stay.
        pairs = enumerate(zip(old, inode.content, strict=False))
        kept = next((at for at, (one, other) in pairs if one != other), min(len(old), len(inode.content)))
        rest = inode.content[kept:]
        arrived = rest[: len(rest) // 2] if choice % 2 else bytes(len(rest))
        return replace(inode, content=inode.content[:kept] + arrived)

    def key(self, state: State) -> int:
        """Alike for states that show the same."""
        found: list[object] = []
        met: dict[Id, int] = {}

        def visit(name: str, id: Id) -> None:
            first = id not in met
            met.setdefault(id, len(met))
            found.append((name, met[id]))
            if first:
                inode = self.inode(state, id)
                found.append(inode.mode)
                if isinstance(inode.content, Mapping):
                    for name, below in inode.content.items():
                        visit(name, below)
                    found.append(None)
                else:
                    found.append(inode.content)

        for root in self.roots:
            visit("", root)
        return hash(tuple(found))

    def lay_out(self, state: State, mounts: Sequence[Path]) -> None:
        """Makes it so, in filesystems that have only what never changes and what was made so before."""
        for mount, root in zip(mounts, self.roots, strict=True):
            for name in os.listdir(mount):
                if name not in UNCHANGED:
                    _remove(f"{mount}/{name}")
            self._fill(state, str(mount), root, {})

    def _fill(self, state: State, path: str, id: Id, made: dict[Id, str]) -> None:
        inode = self.inode(state, id)
        if id in made:
            os.link(made[id], path)
            return
        made[id] = path
        if isinstance(inode.content, str):
            os.symlink(inode.content, path)
            return
        if isinstance(inode.content, bytes):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.write(fd, inode.content)
            os.close(fd)
        else:
            if not os.path.isdir(path):
                os.mkdir(path)
            for name, below in inode.content.items():
                self._fill(state, f"{path}/{name}", below, made)
        os.chown(path, inode.uid, inode.gid)
        os.chmod(path, inode.mode)
        os.utime(path, ns=(inode.mtime_ns, inode.mtime_ns))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            _remove(f"{path}/{name}")
        os.rmdir(path)
    else:
        os.unlink(path)
