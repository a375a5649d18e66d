"""A storm: commands that change a site and readers of it, many at once, killed at random; then a look at what is left.

The seed decides which commands are given and when they are struck. The kernel decides the rest, so that a seed repeats
the kind of a storm, not its very course.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from treeswap.cli.program import run as run_program

from .contention_content import ALL
from .contention_crowd import Crowd, Ended
from .contention_readers import Teller, pinned, plain
from .contention_rest import Rest
from .contention_world import GRACE, Command, Commands, World
from .oracle import Broken

READERS = {"plain": 2, "pin": 2, "exec": 2}
WRITERS = 6
_BLOW = 0.4
"""The share of commands that get a signal. Most take 10 to 150 ms in a crowd, and the signal comes within that."""
_REST_EVERY = 100
"""Commands, after which it is looked at what they left."""
_FIRSTS = 4
_REMEMBERED = 25
_CODES = {0, 2, 11, 12, 15, 17}

Blows = list[tuple[float, int, bool]]


@dataclass(slots=True)
class Figures:
    """What happened: commands by kind and by how they ended, and what readers counted."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Figures) -> None:
        self.ended += other.ended
        self.counts += other.counts
        self.seconds += other.seconds

    def of(self, kind: str, how: str = "0") -> int:
        return self.ended[kind, how]

    @property
    def commands(self) -> int:
        return sum(self.ended.values())

    def plain(self) -> dict[str, Any]:
        """As JSON can have it."""
        ended = [[*key, number] for key, number in self.ended.items()]
        return {"ended": ended, "counts": self.counts, "seconds": self.seconds}

    @classmethod
    def of_plain(cls, value: dict[str, Any]) -> Figures:
        ended = Counter({(kind, how): number for kind, how, number in value["ended"]})
        return cls(ended, Counter(value["counts"]), value["seconds"])

    def __str__(self) -> str:
        ways = sorted({how for _, how in self.ended}, key=lambda how: (not how.isdigit(), len(how), how))
        rows = [["", *ways]]
        for kind in sorted({kind for kind, _ in self.ended}):
            rows.append([kind, *(str(self.ended[kind, how] or "·") for how in ways)])
        lines = [f"{row[0]:<12}" + "".join(f"{cell:>7}" for cell in row[1:]) for row in rows]
        return "\n".join([*lines, self.line])

    @property
    def line(self) -> str:
        rest = ", ".join(f"{name} {number:,}" for name, number in sorted(self.counts.items()) if name != "lookups")
        return f"{self.commands:,} commands, {self.counts['lookups']:,} lookups, {self.seconds:.0f} s; {rest}"


class Storm:
    def __init__(self, world: World, seed: str) -> None:
        self.world, self.figures = world, Figures()
        self._rng = random.Random(seed)
        self._commands = Commands(world, self._rng)
        self._crowd = Crowd()
        self._rest = Rest(world)
        self._given: dict[int, Command] = {}
        self._last: deque[str] = deque(maxlen=_REMEMBERED)
        self._versions: dict[str, int] = {}
        self._switched: Counter[str] = Counter()
        self._started = 0
        self._served = False
        self._held_until = 0.0
        self._told = world.here / "told"
        self._told_fd = os.open(self._told, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._heard = 0

    def blow(self, *, seconds: float = math.inf, commands: float = math.inf) -> None:
        """Lasts this long, or until so many commands were given, with a rest now and then and one at the end. `Broken`
        tells what must not be."""
        began = time.monotonic()

        def is_over() -> bool:
            return self._started >= commands or time.monotonic() - began >= seconds

        try:
            for _ in range(_FIRSTS):
                self._first_copies()
            while not is_over():
                rest_at = self._started + _REST_EVERY
                while self._started < rest_at and not is_over():
                    self._go_on()
                    time.sleep(0.002)
                self._calm_down()
        except AssertionError as broken:
            course = "\n".join(self._last)
            raise Broken(f"under a crowd, {time.monotonic() - began:.1f} s after it began", f"{broken}\n\n{course}")
        finally:
            self._crowd.disperse()
            self.figures.seconds = time.monotonic() - began
            os.close(self._told_fd)

    def _first_copies(self) -> None:
        """Several at once make the same site, and it is taken away again."""
        for _ in range(WRITERS):
            self._start_command(self._commands.next(), self._blows())
        self._judge_all(self._crowd.wait("command"))
        self._start_command(self._commands.first(), [])
        last = self._crowd.wait("command")
        self._judge_all(last)
        if any(ended.code != 0 for ended in last):
            raise Broken("a command after a crash works without help", "\n".join(map(str, last)))
        Rest(self.world).check({}, self._switched)
        self.figures.counts["sites begun"] += 1
        self._switched.clear()
        self.world.begin()

    def _go_on(self) -> None:
        self._judge_all(self._crowd.ended())
        if hanging := self._crowd.hanging():
            raise Broken("every command comes to an end", f"still there: {[' '.join(p.words) for p in hanging]}")
        self._served = self._served or self.world.site.current is not None
        self._end_hold()
        while len(self._crowd.of("command")) < WRITERS:
            self._start_command(self._commands.next(), self._blows())
        for kind, number in READERS.items():
            while len(self._crowd.of(kind)) < number and (kind != "exec" or self._served):
                self._start_reader(kind)

    def _calm_down(self) -> None:
        """Waits for all commands, and looks. Readers go on."""
        self._judge_all(self._crowd.wait("command"))
        self.world.program.run(*self._commands.unlock().words)
        if self._served:
            self._rest.check(self._versions, self._switched)
            self.figures.counts["rests"] += 1

    # ------------------------------------------------------------ starting

    def _start_command(self, command: Command, blows: Blows) -> None:
        self._started += 1
        if command.kind == "lock":
            self._held_until = time.monotonic() + 0.3
        calls = lambda: run_program(command.words)  # noqa: E731
        if self._rng.random() < 0.05 and all(number == signal.SIGKILL for _, number, _ in blows):
            calls = lambda: _program(command.words)  # noqa: E731
        self._given[self._crowd.start("command", command.words, calls, blows)] = command

    def _blows(self) -> Blows:
        if self._rng.random() > _BLOW:
            return []
        at, group = self._rng.uniform(0.0, 0.2), self._rng.random() < 0.5
        number = self._rng.choices(
            (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP), weights=(12, 4, 4, 1)
        )[0]
        if number != signal.SIGSTOP:
            return [(at, number, group)]
        # It stands still, and goes on or never does.
        last = self._rng.choice((signal.SIGCONT, signal.SIGKILL))
        return [(at, signal.SIGSTOP, group), (at + self._rng.uniform(0.1, 1.0), last, group)]

    def _end_hold(self) -> None:
        if self._held_until and time.monotonic() > self._held_until:
            self._held_until = 0.0
            self._start_command(self._commands.unlock(), [])

    def _start_reader(self, kind: str) -> None:
        rng, world = self._rng, self.world
        user = "nobody" if os.geteuid() == 0 and kind != "exec" else None
        life = rng.uniform(1.0, 15.0) if kind != "exec" else rng.uniform(0.2, 5.0)
        blows = [(life, signal.SIGKILL, False)]
        seed, served, fd = str(rng.random()), self._served, self._told_fd
        if kind == "plain":
            there = {tree for tree in ALL if world.is_there(tree)}
            act = lambda: plain(world.site.public, GRACE, Teller(fd), there.__contains__)  # noqa: E731
        elif kind == "pin":
            act = lambda: pinned(world.site.root, seed, Teller(fd), served)  # noqa: E731
        else:
            who = rng.choice(("itself", "child"))
            reader = [
                sys.executable,
                "-S",
                "-m",
                "crash.contention_readers",
                str(fd),
                f"{rng.uniform(0.0, 4.0):.1f}",
                who,
            ]
            words = ("exec", "--site", str(world.site.root), "--", *reader)

            def act() -> int:
                os.set_inheritable(fd, True)
                return run_program(words)

        self._crowd.start(kind, (kind,), act, blows, user)

    # ------------------------------------------------------------ judging

    def _judge_all(self, ended: Sequence[Ended]) -> None:
        self._listen()  # what a reader told last says more than that it ended
        for one in ended:
            self._judge(one)

    def _judge(self, ended: Ended) -> None:
        kind, signals = ended.process.kind, ended.process.signals
        self._last.append(ended.line.replace(f"{self.world.here}/", "") + _told(ended))
        struck = bool(signals)
        if struck and (ended.code < 0 or ended.code >= 128):
            self.figures.counts[f"ended by {signal.Signals(_signal_of(ended.code)).name}"] += 1
        if "Traceback" in ended.err or "bug in" in ended.err or ended.code in (1, 99):
            raise Broken("never a traceback", str(ended))
        if kind == "command":
            self._judge_command(self._given.pop(ended.process.pid), ended)
        elif ended.code < 0 and -ended.code in signals:
            self.figures.counts[f"{kind} readers killed"] += 1
        elif kind != "exec" or ended.code != 0:
            raise Broken("a reader goes on until it is killed", str(ended))

    def _judge_command(self, command: Command, ended: Ended) -> None:
        signals = ended.process.signals
        if ended.code < 0:
            if -ended.code not in signals:
                raise Broken("a command ends by itself", str(ended))
            self.figures.ended[command.kind, "killed"] += 1
            return
        self.figures.ended[command.kind, str(ended.code)] += 1
        if ended.code >= 128:
            if ended.code - 128 not in signals:
                raise Broken("a command that got no signal is not ended by one", str(ended))
            return
        if ended.code not in _CODES:
            raise Broken(f"exit codes are of {sorted(_CODES)}", str(ended))
        if "--json" in command.words:
            self._judge_answer(command, ended)

    def _judge_answer(self, command: Command, ended: Ended) -> None:
        answer = json.loads(ended.out)
        error = answer["error"]
        if answer["exit"] != ended.code or (error is None) != (ended.code == 0):
            raise Broken("exit code and answer agree", str(ended))
        if error is None:
            if answer.get("changed") and answer.get("switched_at") and command.kind != "unadopt":
                self._switched[answer["release"]] += 1
            return
        may = set(command.may)
        if ended.process.signals - {signal.SIGSTOP, signal.SIGCONT}:
            may.add("later-step-failed")  # its own command was struck with it
        if not self._served:
            may |= {"not-a-site"}
        if error["code"] not in may:
            raise Broken(f"{command.kind} ends well, or with one of {sorted(may)}", str(ended))
        self.figures.counts[f"told {error['code']}"] += 1

    def _listen(self) -> None:
        """Takes in what readers have told."""
        data = os.pread(self._told_fd, os.fstat(self._told_fd).st_size - self._heard, self._heard)
        whole = data[: data.rfind(b"\n") + 1]
        self._heard += len(whole)
        for line in filter(None, whole.splitlines()):
            try:
                said = json.loads(line)
            except ValueError:  # it was killed half-way; one that ends by itself is an error of its own
                self.figures.counts["cut short while telling"] += 1
                continue
            if "broken" in said:
                raise Broken("readers see one whole release", said["broken"])
            self.figures.counts.update(said.get("counts", {}))
            for version, generation in said.get("versions", {}).items():
                if self._versions.setdefault(version, generation) != generation:
                    raise Broken(2, f"{version} showed generation {self._versions[version]}, and then {generation}")
                self.figures.counts["versions looked at"] += 1


def _program(words: Sequence[str]) -> int:
    """The program as it is started from a shell."""
    os.execv(sys.executable, [sys.executable, "-m", "treeswap", *words])
    return 99


def _told(ended: Ended) -> str:
    """The error in short."""
    lines = [line for line in ended.err.splitlines() if line.startswith("error:")]
    return f" {lines[0][:100]}" if lines else ""


def _signal_of(code: int) -> int:
    return -code if code < 0 else code - 128
