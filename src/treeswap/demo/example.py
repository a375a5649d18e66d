"""The site that is deployed: `examples/mysite`, of which every version says its number in each of its three trees."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

STAMPS = {
    "apps": ("bakery/version.py", 'VERSION = "{}"\n'),
    "conf": ("templates/version.html", "{}\n"),
    "static": ("version.txt", "{}\n"),
}
"""For each tree the file that says the version, and how."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tree of the example: its new content comes from `source`, `live` is its public path."""

    tree: str
    source: Path
    live: Path

    @property
    def stamp(self) -> str:
        return STAMPS[self.tree][0]


def location() -> Path:
    """Where the example is: within an installed package, or beside the sources."""
    installed = Path(__file__).parent / "mysite"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "examples" / "mysite"


def make(sources: Path) -> None:
    """A copy of the example's trees, to be stamped."""
    for tree in STAMPS:
        shutil.copytree(location() / tree, sources / tree, ignore=shutil.ignore_patterns("__pycache__"))


def stamp(sources: Path, version: str) -> None:
    """Makes the trees those of another version."""
    for tree, (file, text) in STAMPS.items():
        (sources / tree / file).write_text(text.format(version))
