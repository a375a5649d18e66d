"""Times of `treeswap copy` beside rsync's, and of `treeswap status` beside a bare interpreter's.

For each real input, in each round: a first copy, one with nothing changed, and one with 1 % of the files changed, by

    treeswap            treeswap copy SRC:DEST …, made durable before it returns
    rsync               rsync -a SRC/ DEST/ for each tree: over the live files
    rsync, link-dest    rsync -a --link-dest=BEFORE SRC/ NEW/ for each tree: a new directory beside the one before
    … and sync          either of them with `sync -f` after it, which makes it as durable as treeswap's

one right after the other, in an order that turns with the rounds. What was written before is synced first, so that
nobody pays for another. What is read is in the page cache for all of them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import inputs

TREESWAP = str(Path(sys.executable).parent / "treeswap")
STEPS = ("first", "unchanged", "1 % changed")
Times = dict[tuple[str, str], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=40, help="how many starts of the program are timed")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the directory goes then too
    with tempfile.TemporaryDirectory(prefix="treeswap-bench-") as name:
        room = Path(name).resolve()
        kind = subprocess.run(
            ["stat", "-f", "-c", "%T", room], check=True, capture_output=True, text=True
        ).stdout.strip()
        print(f"{os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}, {kind}, {asked.rounds} rounds")
        for title, trees in (("Django's sdist", _django(room)), ("node_modules", _node_modules(room))):
            files = sum(len(names) for tree in trees.values() for _, _, names in os.walk(tree))
            print(f"\n{title}: {files:,} files in {len(trees)} trees")
            _table(_copies(room, trees, asked.rounds), STEPS, "rsync")
        print("\nStart-up")
        _table(_starts(room, asked.starts), ("start",), "python -c pass")


def _django(room: Path) -> dict[str, Path]:
    rest = room / "django-input" / "rest"
    shutil.copytree(inputs.django(), rest, symlinks=True)
    for part in ("django", "docs"):
        (rest / part).rename(rest.parent / part)
    return {path.name: path for path in sorted(rest.parent.iterdir())}


def _node_modules(room: Path) -> dict[str, Path]:
    shutil.copytree(inputs.node_modules(), room / "node-input" / "node_modules", symlinks=True)
    shutil.copytree(inputs.DATA / "node", room / "node-input" / "app")
    return {path.name: path for path in sorted((room / "node-input").iterdir())}


def _copies(room: Path, trees: dict[str, Path], rounds: int) -> Times:
    times: Times = defaultdict(list)
    for round_ in range(rounds):
        place = room / "round"
        place.mkdir()
        copiers = [_Treeswap(place / "treeswap", trees), _Rsync(place / "rsync", trees), _LinkDest(place / "ld", trees)]
        copiers = copiers[round_ % 3 :] + copiers[: round_ % 3]
        for step in STEPS:
            with _changed(trees) if step == "1 % changed" else _as_they_are():
                for copier in copiers:
                    os.sync()
                    seconds, synced = copier.copy()
                    times[copier.name, step].append(seconds)
                    if copier.name != "treeswap":
                        times[f"{copier.name}, and sync", step].append(seconds + synced)
        shutil.rmtree(place)
    return times


class _Copier:
    name: str

    def __init__(self, place: Path, trees: dict[str, Path]) -> None:
        self.place = place
        self.trees = trees
        self.copies = 0
        place.mkdir()

    def copy(self) -> tuple[float, float]:
        """Seconds that it took, and that a sync of the filesystem took after it."""
        self.copies += 1
        started = time.perf_counter()
        for command in self.commands():
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = time.perf_counter()
        subprocess.run(["sync", "-f", self.place], check=True)
        return done - started, time.perf_counter() - done

    def commands(self) -> list[list[str]]:
        raise NotImplementedError


class _Treeswap(_Copier):
    name = "treeswap"

    def commands(self) -> list[list[str]]:
        pairs = [f"{source}:{self.place / name}" for name, source in self.trees.items()]
        return [[TREESWAP, "copy", "--deploy-to", str(self.place / "site"), *pairs]]


class _Rsync(_Copier):
    name = "rsync"

    def commands(self) -> list[list[str]]:
        return [["rsync", "-a", f"{source}/", f"{self.place / name}/"] for name, source in self.trees.items()]


class _LinkDest(_Copier):
    name = "rsync, link-dest"

    def commands(self) -> list[list[str]]:
        new, before = self.place / str(self.copies), self.place / str(self.copies - 1)
        new.mkdir()
        return [
            [
                "rsync",
                "-a",
                *([f"--link-dest={before / name}"] if before.is_dir() else []),
                f"{source}/",
                f"{new / name}/",
            ]
            for name, source in self.trees.items()
        ]


@contextmanager
def _changed(trees: dict[str, Path]) -> Iterator[None]:
    """While the block runs, 1 % of all files have a line more; the same files in every round."""
    files = sorted(
        path for tree in trees.values() for path in tree.rglob("*") if path.is_file() and not path.is_symlink()
    )
    chosen = [(file, file.stat()) for file in random.Random(1).sample(files, len(files) // 100)]
    for file, _ in chosen:
        with file.open("ab") as opened:
            opened.write(b"# one line more\n")
    yield
    for file, before in chosen:
        os.truncate(file, before.st_size)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def _as_they_are() -> Iterator[None]:
    yield


def _starts(room: Path, count: int) -> Times:
    """`treeswap status` of a site with a few releases, and what an interpreter takes that does nothing."""
    source = room / "start-input"
    source.mkdir()
    for number in range(3):
        (source / "file").write_text(f"{number}\n")
        subprocess.run([TREESWAP, "copy", "-q", f"{source}:{room / 'start'}"], check=True)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "treeswap status": [TREESWAP, "status", "--site", str(room / "start")],
        "treeswap --version": [TREESWAP, "--version"],
    }
    times: Times = defaultdict(list)
    for _ in range(count):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name, "start"].append(time.perf_counter() - started)
    return times


def _table(times: Times, steps: tuple[str, ...], measure: str) -> None:
    """Medians with the smallest and the largest, and how many times as long as `measure` each took."""
    names = list(dict.fromkeys(name for name, _ in times))
    print(f"  {'':<28}" + "".join(f"{step:^38}" for step in steps))
    for name in names:
        cells = []
        for step in steps:
            found, base = times[name, step], median(times[measure, step])
            middle = median(found)
            cells.append(f"{middle:9.3f} s  ({min(found):.3f} … {max(found):.3f})  {middle / base:5.2f}×")
        print(f"  {name:<28}" + "".join(f"{cell:>38}" for cell in cells))


if __name__ == "__main__":
    main()
