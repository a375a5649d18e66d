"""One scene, stopped or refused at one point after the other.

A case is named KIND:WHERE, as `kill:rename:3`, `dies:before:17` or `fail:fsync:5:EIO`; with /NEXT behind it, it says
which command comes next, too.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from . import judging, onward, oracle, patches, strace
from .judging import Ends
from .oracle import Answer, Broken
from .program import KILLED
from .scenes import Scene, World
from .state import fingerprint
from .strace import Call
from .trap import Trap

KILLS = ("kill", "dies", "torn")
FAILS = ("fail", "half", "short", "from", "read", "loses")

AGE = 10_000_000_000
"""Nanoseconds by which the clock of the sweep is ahead, so that the sources are old enough to be remembered."""
_NEVER = 1 << 30


def sort_of(case: str) -> str:
    """The kind, and where it has one the call: all cases of a sort have much in common."""
    kind, *where = case.split(":")
    return f"{kind} {where[0]}" if kind in ("kill", "fail") else kind


class Cases:
    """`often`: a state is gone on from by this many of the commands that may come next, whatever led to it."""

    def __init__(self, scene: Scene, world: World, often: int = 1) -> None:
        self.scene, self.world, self.site, self.often = scene, world, world.site, often
        self.met: Counter[str] = Counter()
        self.next = ""
        self._turns: dict[str, int] = {}
        users = (None, "nobody") if os.geteuid() == 0 else (None,)
        self._looks = [(command, user) for command in oracle.LOOKING for user in users]
        self.words = scene.prepare(world)
        world.save()
        world.restore()  # as for each run: the order of a directory's entries depends on how they were made
        allowed = judging.allowed(scene)
        self._check("as prepared", oracle.whole_release, self.site, {"before": allowed["before"]})
        kinds, records = judging.kinds(self.site), frozenset(self.site.records())
        self.plain = self._run_plain()
        self._check("undisturbed", oracle.whole_release, self.site, {"after": allowed["after"]})
        self._check("undisturbed", oracle.rests, self.site, world.program.run)
        self._check("undisturbed", world.rests)
        self.ends = Ends(scene, kinds, judging.kinds(self.site), records & set(self.site.records()))

    def _check(self, when: str, check: Callable[..., Any], *args: Any) -> None:
        try:
            check(*args)
        except Broken as broken:
            raise AssertionError(f"{self.scene.name}, {when}: {broken}") from None

    # ------------------------------------------------------------ what there is to sweep

    def _run_plain(self) -> list[Call]:
        """The run that nothing befalls gives the calls."""
        answer = self.world.program.run(*self.words, traced=True)
        assert answer.code == 0, str(answer)
        found = list(strace.calls(self.world.program.trace.read_text()))
        strangers = {call.name for call in found if not strace.is_known(call)}
        assert not strangers, f"calls of which nobody has said whether they change files: {strangers}"
        return found

    def _counted(self, patch: Callable[..., patches.Patch], *args: Any) -> int:
        told = self.world.here / "counted"
        told.unlink(missing_ok=True)
        self.world.restore()
        answer = self.world.program.run(*self.words, patch=patch(_NEVER, *args, told=told))
        assert answer.code == 0, str(answer)
        return len(told.read_text().splitlines())

    def cases(self, kinds: Sequence[str]) -> list[str]:
        changing = [call for call in self.plain if strace.changes(call)]
        found: list[str] = []
        if "kill" in kinds:
            found += [f"kill:{call.id}" for call in [*changing, *(c for c in self.plain if c.name == "exit_group")]]
        if "dies" in kinds:
            calls = range(1, self._counted(patches.dying_at) + 1)
            found += [f"dies:{when}:{number}" for number in calls for when in ("before", "after")]
        if "loses" in kinds and self.world.has_daemon:
            found += [f"loses:{number}" for number in range(1, self._counted(patches.dying_at) + 1)]
        if "torn" in kinds:
            found += [f"torn:{number}" for number in range(1, self._counted(patches.torn_at) + 1)]
        if "fail" in kinds:
            found += [f"fail:{call.id}:{error}" for call in changing for error in strace.ERRORS[call.name]]
            found += [f"fail:{call.id}:EINTR" for call in self.plain if call.name == "flock"]
        if "read" in kinds:
            found += [f"fail:{call.id}:{error}" for call in self._reading() for error in strace.READING[call.name]]
        if "half" in kinds:
            writes = range(1, self._counted(patches.torn_at) + 1)
            found += [f"half:{number}:{error}" for number in writes for error in ("ENOSPC", "EIO")]
        if "from" in kinds:
            calls = range(1, self._counted(patches.failing_from, "EIO") + 1)
            found += [f"from:{number}:{error}" for number in calls for error in patches.STICKY]
        return [*found, *(["short"] if "short" in kinds else [])]

    def _reading(self) -> list[Call]:
        """Calls that read in the world: the sources, SITE, the public paths."""
        places = (str(self.world.here), str(self.world.there))
        return [
            call
            for call in self.plain
            if call.name in strace.READING
            and not strace.changes(call)
            and any(place in re.sub("AT_FDCWD<[^>]*>", "", call.text) for place in places)
            and not call.text.rpartition(" = ")[2].startswith("-1")
        ]

    # ------------------------------------------------------------ one case

    def run(self, case: str) -> None:
        """`Broken` says what does not hold after this case."""
        name, _, then = case.partition("/")
        self.next = ""
        self.world.restore()
        with self.world.visited():
            self._run(name, then)

    def _run(self, name: str, then: str) -> None:
        began = time.time_ns() - AGE
        sealed = oracle.sealed(self.site)
        answer = self._inject(name)
        state = judging.at_once(self.ends, self.site, sealed)
        self.world.at_once(self.words, answer)
        kind, *where = name.split(":")
        if kind in FAILS:
            call = self._call(*where[:2]) if kind == "fail" else None
            judging.agrees(self.ends, self.site, name, call, answer, state)
        self.next = then or self._next(name, fingerprint(self.world.changing, began))
        if self.next:
            look = self._looks[zlib.crc32(name.encode()) % len(self._looks)]
            oracle.looking_works(self.site, self.world.program.run, look)
            onward.goes_on(self.scene, self.world, self.words, self.next)

    def _next(self, case: str, state: str) -> str:
        """The command to go on with: by turns, and another each time that runs come to a state; none when it was
        gone on from often enough."""
        self.met[state] += 1
        if self.met[state] > self.often:
            return ""
        self._turns[state] = self._turns.get(state, zlib.crc32(case.encode())) + 1
        return onward.NEXT[self._turns[state] % len(onward.NEXT)]

    def _inject(self, case: str) -> Answer:
        kind, *rest = case.split(":")
        run = self.world.program.run
        match kind, rest:
            case "kill", [name, nth]:
                answer = self._trapped(Trap(self._call(name, nth)))
            case "fail", [name, nth, error]:
                answer = self._trapped(Trap(self._call(name, nth), error))
            case "dies", [when, number]:
                answer = run(*self.words, patch=patches.dying_at(int(number), after=when == "after"))
            case "loses", [number]:
                answer = run(*self.words, patch=patches.dying_at(int(number), die=self.world.lose_daemon))
            case "torn", [number]:
                answer = run(*self.words, patch=patches.torn_at(int(number)))
            case "half", [number, error]:
                answer = run(*self.words, patch=patches.torn_at(int(number), error))
            case "from", [number, error]:
                answer = run(*self.words, patch=patches.failing_from(int(number), error))
            case "short", []:
                answer = run(*self.words, patch=patches.short_writes)
            case _:
                raise ValueError(f"no such case: {case}")
        if kind in KILLS:
            assert answer.code == KILLED, f"not killed: {answer}"
        return answer

    def _call(self, name: str, nth: str) -> Call:
        return strace.find(self.plain, name, int(nth))

    def _trapped(self, trap: Trap) -> Answer:
        answer = self.world.program.run(*self.words, trap=trap)
        trap.must_have_met()
        return answer
