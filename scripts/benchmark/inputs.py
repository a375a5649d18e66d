"""The trees that are deployed: real packages, copied so that each file is its own, and changed as the steps ask.

Each input is a directory with a tree `code`, a small web application, and beside it one tree or more that are large.
"""

from __future__ import annotations

import math
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import inputs as fetched

_CODE = Path(__file__).parents[2] / "examples" / "mysite"
SMALL = "code"
LINE = b"# one line more\n"


@dataclass(slots=True)
class Input:
    """The directory that holds the trees, and what is in it. `files` are the regular files of the large trees, by their
    path below `root`, and `size` counts all of every tree. `grows`: there are others like it of other sizes."""

    title: str
    root: Path
    grows: bool = False
    files: list[str] = field(default_factory=list)
    size: int = 0
    directories: int = 0

    def __post_init__(self) -> None:
        for room, directories, names in os.walk(self.root):
            below = Path(room).relative_to(self.root)
            self.directories += len(directories)
            self.size += len(names)
            if below.parts[:1] not in ((), (SMALL,)):
                self.files += [str(below / name) for name in names if not os.path.islink(os.path.join(room, name))]
        self.files.sort()

    @property
    def trees(self) -> dict[str, Path]:
        return {path.name: path for path in sorted(self.root.iterdir())}

    def change(self, count: int, luck: random.Random) -> dict[str, bytes]:
        """Appends a line to so many files of the large trees; what they held before, by their path."""
        return self._append(luck.sample(self.files, max(1, min(count, len(self.files)))))

    def change_code(self) -> dict[str, bytes]:
        """Appends a line to one file of the small tree."""
        file = min(path for path in (self.root / SMALL).rglob("*") if path.is_file())
        return self._append([str(file.relative_to(self.root))])

    def _append(self, chosen: list[str]) -> dict[str, bytes]:
        before = {}
        for file in chosen:
            before[file] = (self.root / file).read_bytes()
            with (self.root / file).open("ab") as opened:
                opened.write(LINE)
        return before


def tiny(root: Path) -> Input:
    """Sixty files that are not real packages: to try the benchmark out."""
    for number in range(60):
        file = root / "packages" / f"{number % 6}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n" * number)
    (root / "packages" / "link").symlink_to("0/0.txt")
    return _with_code("60 files made up", root)


def django(root: Path) -> Input:
    rest = root / "rest"
    _copy(fetched.django(), rest)
    for part in ("django", "docs"):
        (rest / part).rename(root / part)
    return _with_code("Django's source distribution", root)


def ten_thousand(root: Path) -> Input:
    """The first packages of a node_modules that have 10,000 files together."""
    count = 0
    for package in sorted(fetched.node_modules().iterdir()):
        if count >= 10_000 or not package.is_dir():
            continue
        _copy(package, root / "packages" / package.name)
        count += sum(len(names) for _, _, names in os.walk(package))
    return _with_code("npm packages, a part", root, grows=True)


def all_packages(root: Path) -> Input:
    _packages(root / "packages")
    return _with_code("npm packages", root, grows=True)


def a_million(root: Path) -> Input:
    """All packages so often that they make a million files."""
    first = root / "packages" / "1"
    _packages(first)
    count = sum(len(names) for _, _, names in os.walk(first))
    for number in range(2, math.ceil(1_000_000 / count) + 1):
        _copy(first, first.with_name(str(number)))
    return _with_code("npm packages, many times", root, grows=True)


def _packages(root: Path) -> None:
    _copy(fetched.node_modules(), root / "one")
    _copy(fetched.more_node_modules(), root / "two")


def _with_code(title: str, root: Path, *, grows: bool = False) -> Input:
    _copy(_CODE, root / SMALL)
    return Input(title, root, grows)


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, place, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
