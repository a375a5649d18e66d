"""The contenders at the same steps, one right after the other, in an order that turns with the rounds.

What was written before is synced before each start, so that nobody pays for another; and the source and all that the
contender has made is looked at, so that names and inodes are in memory for all of them, if they fit. After each step
what came out is compared with what went in.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .contending import Contender
from .figures import BACK, CODE, FIRST, PERCENT, SAME, TEN, Race, Timing
from .inputs import SMALL, Input
from .launching import CommandFailed, Run
from .sameness import differences

_KEPT_FOR_DISK, _KEPT = 5, 3
_SAMPLE = 2000  # files whose content is compared where not all are read
_SETTLING = 3  # deploys between those that fill the disk and those that are timed

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, in how many of them slow contenders take part, and how many first copies each makes; whether
    the first comparison of each step reads every file, or a sample as the later ones do."""

    rounds: int
    slow_rounds: int
    firsts: int
    room: Path
    tell: Tell
    read_all: bool = True


def race(
    source: Input, kinds: Sequence[type[Contender]], plan: Plan, left_out: Mapping[str, str] | None = None
) -> Race:
    """Works below `plan.room`, and leaves it as empty as it was. `left_out` says of others why they take no part."""
    found = Race(source.title, source.size, source.directories, source.grows)
    with ExitStack() as stack:
        runners: list[Contender] = []
        for kind in kinds:
            found.contenders.append(kind.name)
            why = kind.lacks()
            if why:
                found.absent[kind.name] = f"missing: {why}"
                continue
            with _dropping(found, kind.name, plan.tell):
                runners.append(kind(plan.room / _directory(kind), source))
                stack.callback(runners[-1].leave)
        _Race(source, runners, plan, found).run()
    for name, why in (left_out or {}).items():
        found.contenders.append(name)
        found.absent[name] = why
    return found


class _Race:
    def __init__(self, source: Input, runners: list[Contender], plan: Plan, found: Race) -> None:
        self.source = source
        self.runners = runners
        self.plan = plan
        self.found = found
        self.luck = random.Random(1)
        self.read: set[tuple[str, str]] = set()

    def run(self) -> None:
        self.fill()
        for number in range(1, self.plan.rounds + 1):
            self.plan.tell(f"{self.source.title}: round {number} of {self.plan.rounds}")
            if number < self.plan.firsts:
                for runner in self.racing(number):
                    self.first_copy(runner, number)
            self.step(SAME, number)
            self.source.change(self.source.size // 100, self.luck)
            self.step(PERCENT, number)
            before = self.source.change(10, self.luck)
            self.step(TEN, number)
            self.roll_back(number, before)
        self.code_alone()

    def code_alone(self) -> None:
        """Rounds of their own, since they change which releases have versions of the large trees of their own."""
        self.plan.tell(f"{self.source.title}: {CODE}")
        for runner in self.turned(0):
            with _dropping(self.found, runner.name, self.plan.tell):
                if runner.slow:  # it may have missed rounds
                    runner.ready()
                    runner.deploy()
                for _ in range(runner.settling):
                    self.source.change_code()
                    runner.deploy(SMALL)
        for number in range(1, self.plan.rounds + 1):
            self.source.change_code()
            self.step(CODE, number, only=SMALL)

    def fill(self) -> None:
        """A first copy, and so many deploys that there are as many releases as are kept; then fewer are kept, and what
        is timed after that is the steady state."""
        self.plan.tell(f"{self.source.title}: first copies")
        for runner in self.turned(0):
            self.deploy(runner, FIRST, 0)
        last = _KEPT_FOR_DISK + _SETTLING - 1
        for number in range(1, last + 1):
            self.plan.tell(f"{self.source.title}: deploy {number} of {last} before the times")
            self.source.change(self.source.size // 100, self.luck)
            for runner in self.turned(number):
                if runner.slow and _KEPT_FOR_DISK <= number < last:
                    continue  # it has no other state to come to
                with _dropping(self.found, runner.name, self.plan.tell):
                    runner.ready()
                    runner.deploy()
                    runner.prune(_KEPT_FOR_DISK if number < _KEPT_FOR_DISK else _KEPT)
                    if number == _KEPT_FOR_DISK - 1 and runner.keeps_releases:
                        self.found.disk[runner.name] = disk(runner.place / "releases", runner.place / "repo")

    def step(self, step: str, number: int, only: str | None = None) -> None:
        for runner in self.racing(number):
            self.deploy(runner, step, number, only)

    def deploy(self, runner: Contender, step: str, number: int, only: str | None = None) -> None:
        with _dropping(self.found, runner.name, self.plan.tell):
            runner.ready()
            synced(self.plan.room)
            looked_at(self.source.root, runner.place)
            self.note(runner, step, number, runner.deploy(only))
            self.sync(runner)
            for tree, source in self.source.trees.items():
                wanted = runner.before(tree) if runner.only_links and runner.count > 1 else source
                self.compare(runner, step, wanted, runner.public(tree))
            seconds = runner.prune(_KEPT_FOR_DISK if number == 0 else _KEPT)
            if seconds is not None:
                self.found.removed.setdefault(runner.name, []).append(seconds)

    def first_copy(self, runner: Contender, number: int) -> None:
        """Into a place of its own, which goes again."""
        with _dropping(self.found, runner.name, self.plan.tell):
            fresh = type(runner)(self.plan.room / f"{_directory(type(runner))}-first", self.source)
            try:
                fresh.ready()
                synced(self.plan.room)
                looked_at(self.source.root, fresh.place)
                self.note(runner, FIRST, number, fresh.deploy())
                for tree, source in self.source.trees.items():
                    self.compare(runner, FIRST, source, fresh.public(tree))
            finally:
                fresh.leave()

    def roll_back(self, number: int, before: dict[str, bytes]) -> None:
        """From the ten files that changed last to what they were before."""
        for runner in self.racing(number):
            with _dropping(self.found, runner.name, self.plan.tell):
                synced(self.plan.room)
                looked_at(self.source.root, runner.place)
                done = runner.roll_back()
                if done is None:
                    continue
                self.note(runner, BACK, number, done, runner.switched_after(done))
                for tree, source in self.source.trees.items():
                    if not runner.only_links:
                        old = {file.partition("/")[2]: old for file, old in before.items() if _tree(file) == tree}
                        self.compare(runner, BACK, source, runner.rolled_back(tree), instead=old)
                runner.go_forward()

    def note(self, runner: Contender, step: str, number: int, done: Run, switched: float | None = None) -> None:
        self.found.timings.append(Timing(runner.name, step, number, done.seconds, done.peak, switched))

    def sync(self, runner: Contender) -> None:
        self.found.synced.setdefault(runner.name, []).append(synced(runner.place))

    def compare(
        self, runner: Contender, step: str, wanted: Path, got: Path, instead: dict[str, bytes] | None = None
    ) -> None:
        """Every content of every step is read once for each contender; later a sample of them."""
        key = (runner.name, f"{step} {wanted.name}")
        in_full = self.plan.read_all and key not in self.read
        share = 1.0 if in_full else _SAMPLE / max(self.source.size, 1)
        self.read.add(key)
        luck = random.Random(len(self.found.timings))
        found = differences(
            wanted, got.resolve(), as_in_git=runner.as_in_git, instead=instead, read=lambda _: luck.random() < share
        )
        self.found.compared += 1
        for sentence in [sentence for sentence, _ in zip(found, range(3), strict=False)]:
            self.found.unequal.append(f"{runner.name}, {step}, {wanted.name}: {sentence}")
            self.plan.tell(f"NOT EQUAL: {self.found.unequal[-1]}")

    def racing(self, number: int) -> list[Contender]:
        return [runner for runner in self.turned(number) if number <= self.plan.slow_rounds or not runner.slow]

    def turned(self, number: int) -> list[Contender]:
        there = [runner for runner in self.runners if runner.name not in self.found.absent]
        first = number % len(there) if there else 0
        return there[first:] + there[:first]


@contextmanager
def _dropping(found: Race, name: str, tell: Tell) -> Iterator[None]:
    """A contender that fails takes no part from then on, and the page says why."""
    try:
        yield
    except (CommandFailed, OSError, subprocess.SubprocessError) as failed:
        found.absent[name] = f"failed: {failed}"
        tell(f"FAILED: {name}: {failed}")


def synced(room: Path) -> float:
    """Brings to the disk what the filesystem of this directory holds back; seconds that it took."""
    began = time.perf_counter()
    subprocess.run(["sync", "-f", room], check=True)
    return time.perf_counter() - began


def looked_at(*rooms: Path) -> None:
    """Has the kernel look at everything below: it may have let go of what was not used since some deploys ago."""
    subprocess.run(["du", "-s", *rooms], check=True, stdout=subprocess.DEVNULL)


def disk(*rooms: Path) -> int:
    """Bytes on disk of everything below, each inode once."""
    seen: dict[tuple[int, int], int] = {}
    for room in rooms:
        for directory, names, files in os.walk(room):
            for name in (*names, *files, "."):
                with suppress(FileNotFoundError):
                    looked = os.lstat(os.path.join(directory, name))
                    seen[looked.st_dev, looked.st_ino] = looked.st_blocks * 512
    return sum(seen.values())


def _directory(kind: type[Contender]) -> str:
    return kind.__name__.lower()


def _tree(file: str) -> str:
    return file.partition("/")[0]
