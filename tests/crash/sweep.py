"""Runs one scene's command again and again, each time stopped or refused at another point, and judges what is there.

    python -m crash.sweep SCENE [CASE …]        from the directory tests; a CASE as a failure names it

Without cases all are run that `effort` lets through, of the kinds that --kinds names. As root it works on filesystems
of its own, in namespaces of mounts and processes that nobody else sees and that end with it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from treeswap import occupants

from . import migrated, served, strace
from .cases import AGE, FAILS, KILLS, Cases, sort_of
from .effort import is_full, sample
from .program import import_everything
from .scenes import SCENES

EVERY = {scene.name: scene for scene in (*SCENES, *served.SCENES, *migrated.SCENES)}
_APART = "TREESWAP_CRASH_APART"
_APART_FROM = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What other processes do must not change the calls of a run: whoever removes a release looks through /proc."""


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
    parser.add_argument("--often", type=int, default=2 if is_full() else 1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if os.geteuid() == 0 and _APART not in os.environ:
        os.environ[_APART] = "yes"
        os.execvp("unshare", ["unshare", *_APART_FROM, sys.executable, "-m", "crash.sweep", *sys.argv[1:]])
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import_everything()
    if _APART in os.environ:
        # Nobody outside knows of these filesystems: in here every process is seen that could reach them.
        setattr(occupants, "FIRST_PID_NAMESPACE", os.readlink("/proc/self/ns/pid"))  # noqa: B010
    _age_sources()
    scene = EVERY[asked.scene]
    began = time.monotonic()
    with directories() as (here, there):
        world = scene.world(here, there, elsewhere=scene.elsewhere)
        try:
            sweep = Cases(scene, world, asked.often)
            cases = list(asked.cases)
            total = 0
            if not cases:
                every = sweep.cases(asked.kinds.split(","))
                total = len(every)
                salt = f"{scene.name} {asked.kinds}"
                cases = sample(every, quick=asked.quick, full=asked.full, salt=salt, sort=sort_of)
            if asked.list:
                print("\n".join(cases))
                return 0
            failed = dict(_failures(sweep, cases, asked.json))
        finally:
            world.clear()
    figures = {
        "scene": scene.name,
        "calls": sum(strace.changes(call) for call in sweep.plain),
        "cases": total,
        "runs": len(cases),
        "states": len(sweep.met),
        "seconds": round(time.monotonic() - began, 1),
        "failed": failed,
    }
    print(json.dumps(figures) if asked.json else json.dumps(figures, indent=2))
    return 1 if failed else 0


def _age_sources() -> None:
    """What was read is remembered, once it has not changed for two seconds: as if that time had passed always, so that
    every run of a command makes the same calls."""
    now = time.time_ns
    setattr(time, "time_ns", lambda: now() + AGE)  # noqa: B010


def _failures(sweep: Cases, cases: Sequence[str], silent: bool) -> Iterator[tuple[str, str]]:
    for case in cases:
        try:
            sweep.run(case)
        except Exception as broken:
            told = str(broken) if isinstance(broken, AssertionError) else f"{type(broken).__name__}: {broken}"
            if not silent:
                print(f"{case}/{sweep.next}: {told}\n", file=sys.stderr)
            yield f"{case}/{sweep.next}" if sweep.next and "/" not in case else case, told


if __name__ == "__main__":
    sys.exit(main())
