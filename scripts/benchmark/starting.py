"""How long programs take to start: `treeswap status`, an interpreter that does nothing, and one that imports click."""

from __future__ import annotations

import sys
from pathlib import Path

from .copying import TREESWAP
from .figures import Spread
from .launching import run

BARE = "python -c pass"


def starts(room: Path, count: int) -> dict[str, tuple[Spread, Spread]]:
    """Seconds that each took, and how many times as long as the bare interpreter in the same round."""
    source = room / "source"
    source.mkdir(parents=True)
    for number in range(3):
        (source / "file").write_text(f"{number}\n")
        run([[TREESWAP, "copy", "--quiet", f"{source}:{room / 'public'}"]])
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "treeswap --version": [TREESWAP, "--version"],
        "treeswap status": [TREESWAP, "status", "--site", str(room / "public")],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(count):
        for name, command in commands.items():
            seconds[name].append(run([command]).seconds)
    found = {}
    for name, measured in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(measured, seconds[BARE], strict=True)]
        spread, ratio = Spread.of(measured), Spread.of(ratios)
        assert spread is not None
        assert ratio is not None
        found[name] = spread, ratio
    return found
