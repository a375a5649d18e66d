"""Runs one scene's command again and again, each time stopped or refused at another point, and judges what is there.

    python -m crash.sweep SCENE [CASE …]        from the directory tests; a CASE as a failure names it

Without cases all are run that `effort` lets through, of the kinds that --kinds names. As root it works on filesystems
of its own, in namespaces of mounts and processes that nobody else sees and that end with it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import oracle, patches, strace
from .effort import sample
from .oracle import Answer, Broken, Seen, Shown
from .program import KILLED, import_everything
from .scenes import TREES, Scene, World, content, named
from .strace import Call

KILLS = ("kill", "dies", "torn")
FAILS = ("fail", "half", "short", "from", "read")
NEXT = ("recover", "copy", "again", "rollback", "switch", "prune", "unadopt", "stage")
"""The commands that are tried after a crash, by turns."""

_APART = "TREESWAP_CRASH_APART"
_APART_FROM = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What other processes do must not change the calls of a run: whoever removes a release looks through /proc."""
_NEVER = 1 << 30


class Sweep:
    def __init__(self, scene: Scene, world: World) -> None:
        self.scene, self.world, self.site = scene, world, world.site
        users = (None, "nobody") if os.geteuid() == 0 else (None,)
        self.looks = [(command, user) for command in oracle.LOOKING for user in users]
        self.words = scene.prepare(world)
        world.save()
        world.restore()  # as for each run: the order of a directory's entries depends on how they were made
        self.allowed = {"before": scene.shows(scene.before), "after": scene.shows(scene.after)}
        self.known = {tree: [*self._ever(tree)] for tree in TREES}
        self.kinds_before = self._kinds()
        self._check("as prepared", oracle.whole_release, self.site, {"before": self.allowed["before"]})
        self.records_before = set(self.site.records())
        self.plain = self._run_plain()
        self.kinds_after = self._kinds()
        self.records_after = set(self.site.records())

    def _ever(self, tree: str) -> Iterator[Seen | None]:
        for version in ("1", "2", "3", "9"):
            yield self.scene.seen(tree, version)
            alone = content(tree, version)
            yield alone
            # Sealed, but not current: what is shared is taken out of the live directory just before the switch.
            yield {**alone, "uploads": oracle.DANGLES}

    def _check(self, when: str, check: Callable[..., Any], *args: Any) -> None:
        try:
            check(*args)
        except Broken as broken:
            raise AssertionError(f"{self.scene.name}, {when}: {broken}") from None

    # ------------------------------------------------------------ what there is to sweep

    def _run_plain(self) -> list[Call]:
        """The run that nothing befalls: it gives the calls, and shows that the scene is what it says."""
        answer = self.world.program.run(*self.words, strace=[])
        assert answer.code == 0, str(answer)
        self._check("undisturbed", oracle.whole_release, self.site, {"after": self.allowed["after"]})
        self._check("undisturbed", oracle.rests, self.site, self.world.program.run)
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
        self.world.restore()
        sealed = oracle.sealed(self.site)
        answer = self._inject(name)
        turn = zlib.crc32(name.encode())
        state = self._after(sealed, turn)
        if name.split(":")[0] in FAILS:
            self._agrees(name, answer, state)
        self._then(then or NEXT[turn % len(NEXT)])

    def _inject(self, case: str) -> Answer:
        kind, *rest = case.split(":")
        run = self.world.program.run
        match kind, rest:
            case "kill", [name, nth]:
                call = self._call(name, nth)
                answer = run(*self.words, strace=strace.killing(call))
                self._must_have_reached(call)
            case "fail", [name, nth, error]:
                call = self._call(name, nth)
                answer = run(*self.words, strace=strace.failing(call, error))
                self._must_have_reached(call)
            case "dies", [when, number]:
                answer = run(*self.words, patch=patches.dying_at(int(number), after=when == "after"))
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
        return next(call for call in self.plain if (call.name, call.nth) == (name, int(nth)))

    def _must_have_reached(self, call: Call) -> None:
        reached = [other for other in strace.calls(self.world.program.trace.read_text()) if other.nth == call.nth]
        assert reached and strace.is_same(call, reached[0]), f"not {call.text}, but {reached or 'no such call'}"

    def _after(self, sealed: Mapping[str, Mapping[str, tuple[object, ...]]], turn: int) -> str:
        """What holds at once after a crash or a failure; gives which release is shown."""
        site = self.site
        state = oracle.whole_release(site, self.allowed)
        oracle.whole_records(site, self.known)
        oracle.unchanged_versions(sealed, oracle.sealed(site))
        if lost := self.records_before & self.records_after - set(site.records()):
            raise Broken(6, f"{', '.join(sorted(lost))} is gone, which this command leaves alone otherwise")
        oracle.looking_works(site, self.world.program.run, self.looks[turn % len(self.looks)])
        return state

    def _kinds(self) -> dict[str, str]:
        kinds = {}
        for tree, path in self.site.public.items():
            kinds[tree] = "link" if path.is_symlink() else "directory" if path.is_dir() else "missing"
        return kinds

    # ------------------------------------------------------------ exit code, last line and disk

    def _agrees(self, case: str, answer: Answer, state: str) -> None:
        promise = "exit code, last line and disk agree with each other"
        told = f"{case} shows what was {state}; public paths {self._kinds()}; {answer}"
        unreadable = answer.code == 10 and "cannot be read" in answer.err
        if "Traceback" in answer.err or (answer.code not in (0, 12, 17) and not unreadable):
            raise Broken("an error of the system is told as 12 or 17, or does no harm", told)
        for line in answer.err.splitlines():
            if line.startswith("current: ") and line.split()[1].rstrip(",") != (self.site.current or "none"):
                raise Broken(promise, f"the link is {self.site.current}; {told}")
        if (answer.code == 0) == any(line.startswith("error:") for line in answer.err.splitlines()):
            raise Broken(promise, told)
        changes = self.allowed["before"] != self.allowed["after"]
        adopts = "directory" in self.kinds_before.values()
        if answer.code in (10, 12) and changes and state != "before":
            raise Broken(promise, told)
        if answer.code == 12 and not adopts and self._kinds() != self.kinds_before and state != "missing":
            raise Broken(promise, told)
        if answer.code == 17 and changes and state != "after":
            raise Broken(promise, told)
        left = oracle.leftovers(self.site)
        if answer.code == 0:
            goes_on = self.scene.name.startswith("recover")
            if (changes and state != "after") or (self._kinds() != self.kinds_after and not goes_on):
                raise Broken(promise, told)
            if [path for path in left if "/cache/" not in path] and not any(
                word in answer.err for word in ("warning", "could not clear")
            ):
                raise Broken("what is left behind is said", f"{', '.join(left)}; {told}")
            if case.startswith(("fail:fsync", "fail:syncfs")) and not case.endswith("EINTR"):
                self._may_do_without(case, answer)
        resists = case.startswith(("from:", "fail:unlink", "fail:rmdir")) or self.scene.removes
        if answer.code == 12 and left and not resists:
            raise Broken("a failure leaves nothing behind", f"{', '.join(left)}; {told}")
        if (case.endswith(":EINTR") or case == "short") and answer.code != 0:
            raise Broken("an interrupted call, or a short write, is no failure", told)

    def _may_do_without(self, case: str, answer: Answer) -> None:
        """Success although something was not made durable: only of what may be lost, or with a word about it."""
        _, name, nth, _ = case.split(":")
        call = self._call(name, nth)
        if "/.treeswap/cache" not in call.text and "warning" not in answer.err:
            raise Broken("exit code 0 means that the change is durable", f"{call.text} failed; {answer}")

    # ------------------------------------------------------------ the next command

    def _then(self, kind: str) -> None:
        """The next command of any kind works without help, and the next change clears every leftover."""
        world, site, run = self.world, self.site, self.world.program.run
        now, existed = oracle.shown(site), site.exists
        words = self._words_of(kind)
        if words is None:
            return
        answer = run(*words)
        fine = {0} if existed or kind in ("copy", "again", "stage") else {10}
        if kind == "again" and not self.scene.repeats:
            fine |= {2, 10, 15}
        if kind == "rollback":
            fine.add(15)
        if kind == "unadopt" or (kind == "switch" and words[1] not in site.records()):
            fine.add(2)  # no tree is left, or an adoption that had not begun was taken back
        if answer.code not in fine or "Traceback" in answer.err:
            raise Broken("a command after a crash works without help", str(answer))
        if kind != "again":
            oracle.verified(site, run) if site.exists else None
        oracle.whole_release(site, self._allowed_after(kind, now))
        if not site.exists:
            return
        if kind in ("rollback", "switch") or (kind == "again" and words[0] in ("rollback", "switch")):
            recovered = run(*world.on_site("recover"))
            if recovered.code != 0:
                raise Broken("a command after a crash works without help", str(recovered))
        oracle.rests(site, run)

    def _words_of(self, kind: str) -> tuple[str, ...] | None:
        world = self.world
        consents = ("--adopt", "--add", "--leave-strays")
        match kind:
            case "copy":
                more = [flag for flag in self.scene.flags if flag not in consents]
                return world.copy("9", more=(*consents, *more))
            case "again":
                return self.words
            case "stage":
                return world.configured("stage", "9", *consents)
            case "prune":
                return world.on_site("prune", "--keep", "1", "--grace", "0")
            case "switch":
                others = sorted(set(self.site.records()) - {self.site.current})
                return world.on_site("switch", others[-1], "--adopt", "--leave-strays") if others else None
        return world.on_site(kind)

    def _allowed_after(self, kind: str, now: Shown) -> dict[str, Shown]:
        if kind == "copy":
            return {"the new one": self.scene.shows(dict.fromkeys(TREES, "9"))}
        if kind in ("recover", "prune", "unadopt", "stage"):
            return {"the same": now}
        if kind == "again" and self.scene.repeats:
            return {"after": self.allowed["after"]}
        releases: dict[str, Shown] = {"the same": now}
        for id in self.site.records():
            links = {tree: self.site.root / "releases" / id / tree for tree in TREES}
            releases[id] = {t: oracle.seen(link) if link.is_symlink() else now[t] for t, link in links.items()}
        return releases


# ---------------------------------------------------------------- the program of a sweep


@contextmanager
def directories() -> Iterator[tuple[Path, Path]]:
    """Two directories, on filesystems of their own where that is possible; gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="treeswap-crash-")).resolve()
    root.chmod(0o755)
    here, there = root / "here", root / "there"
    try:
        for directory in (here, there):
            directory.mkdir()
            if _APART in os.environ:
                subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=512m", "tmpfs", directory], check=True)
        yield here, there
    finally:
        if _APART in os.environ:
            for directory in (here, there):
                subprocess.run(["umount", "-l", directory], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(root)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.sweep")
    parser.add_argument("scene")
    parser.add_argument("cases", nargs="*", metavar="case")
    parser.add_argument("--kinds", default=",".join((*KILLS, *FAILS)))
    parser.add_argument("--quick", type=int, default=20)
    parser.add_argument("--full", type=int)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if os.geteuid() == 0 and _APART not in os.environ:
        os.environ[_APART] = "yes"
        os.execvp("unshare", ["unshare", *_APART_FROM, sys.executable, "-m", "crash.sweep", *sys.argv[1:]])
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import_everything()
    _age_sources()
    scene = named(asked.scene)
    began = time.monotonic()
    with directories() as (here, there):
        sweep = Sweep(scene, World(here, there, elsewhere=scene.elsewhere))
        cases = list(asked.cases)
        total = 0
        if not cases:
            every = sweep.cases(asked.kinds.split(","))
            total = len(every)
            cases = sample(every, quick=asked.quick, full=asked.full, salt=f"{scene.name} {asked.kinds}")
        if asked.list:
            print("\n".join(cases))
            return 0
        failed = dict(_failures(sweep, cases, asked.json))
    figures = {
        "scene": scene.name,
        "calls": sum(strace.changes(call) for call in sweep.plain),
        "cases": total,
        "runs": len(cases),
        "seconds": round(time.monotonic() - began, 1),
        "failed": failed,
    }
    print(json.dumps(figures) if asked.json else json.dumps(figures, indent=2))
    return 1 if failed else 0


def _age_sources() -> None:
    """What was read is remembered, once it has not changed for two seconds: as if that time had passed always, so that
    every run of a command makes the same calls."""
    now = time.time_ns
    setattr(time, "time_ns", lambda: now() + 10_000_000_000)  # noqa: B010


def _failures(sweep: Sweep, cases: Sequence[str], silent: bool) -> Iterator[tuple[str, str]]:
    for case in cases:
        try:
            sweep.run(case)
        except Exception as broken:
            told = str(broken) if isinstance(broken, AssertionError) else f"{type(broken).__name__}: {broken}"
            if not silent:
                print(f"{case}: {told}\n", file=sys.stderr)
            yield case, told


if __name__ == "__main__":
    sys.exit(main())
