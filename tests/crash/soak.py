"""make test-soak: storms on one site after the other, for as long as it is told.

    cd tests && PYTHONPATH=.:../src python -m crash.soak --minutes 10 --seed anything

A storm that broke is repeated by `--seed SEED --storm NUMBER`, which is printed; the kernel may let it go otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filesystems import KINDS, CannotMount, mounted

from .contention import Figures, Storm
from .contention_world import VARIANTS, Variant, World
from .effort import seed as seed_of
from .oracle import Broken
from .program import import_everything

CANNOT_MOUNT = 3


@contextmanager
def places(kind: str, variant: Variant) -> Iterator[tuple[Path, Path]]:
    """A directory for a site, and one on another filesystem if the variant needs it. Gone afterwards."""
    if os.geteuid() != 0 and not variant.elsewhere:
        room = Path(tempfile.mkdtemp(prefix="treeswap-soak-")).resolve()
        try:
            room.chmod(0o755)
            yield room, room
        finally:
            shutil.rmtree(room)
        return
    with mounted(kind) as here:
        if not variant.elsewhere:
            yield here.resolve(), here.resolve()
            return
        with mounted(kind) as there:
            yield here.resolve(), there.resolve()


def blown(seed: str, number: int, kind: str, **length: float) -> Figures:
    """One storm, on a new site of one of the variants in turn; for its length see `Storm.blow`."""
    variant = VARIANTS[number % len(VARIANTS)]
    with places(kind, variant) as (here, there):
        storm = Storm(World(here, there, variant), f"{seed} {number}")
        try:
            storm.blow(**length)
        except Broken as broken:
            told = " ".join(f"--{name} {value:.0f}" for name, value in length.items())
            again = f"python -m crash.soak --seed {seed!r} --storm {number} {told} --on {kind}"
            raise Broken(
                f"storm {number} ({variant.name}), again: cd tests && PYTHONPATH=.:../src {again}", str(broken)
            )
    return storm.figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", default=seed_of())
    parser.add_argument("--on", choices=KINDS, default="tmpfs")
    parser.add_argument("--storm", type=int, help="this one only")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each storm")
    parser.add_argument("--commands", type=float, default=math.inf, help="of each storm, if they take less")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import_everything()
    figures = Figures()
    numbers = itertools.count() if asked.storm is None else [asked.storm]
    until = time.monotonic() + asked.minutes * 60
    try:
        for number in numbers:
            left = until - time.monotonic()
            if left <= 0:
                break
            seconds = min(left, asked.seconds)
            figures.add(blown(asked.seed, number, asked.on, seconds=seconds, commands=asked.commands))
            if not asked.json:
                print(f"storm {number} ({VARIANTS[number % len(VARIANTS)].name}): {figures.commands:,} commands so far")
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    except CannotMount as reason:
        print(reason, file=sys.stderr)
        return CANNOT_MOUNT
    print(json.dumps(figures.plain()) if asked.json else figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
