"""What the trees of a contended site hold: every file tells its tree, its source's generation and its own path, and
each generation has another set of files, so that a foreign or missing file can be told from the directory alone.

Nothing of treeswap is imported here: the programs that `exec` runs use this too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TREES = ("apps", "conf", "media")
EXTRA = "extra"
"""The tree that is adopted and given back again and again."""
ALL = (*TREES, EXTRA)
GENERATIONS = range(1, 7)
ALWAYS = ("name", "sub/deep/name", "sub/same")
"""What every generation of every tree has."""


class Torn(AssertionError):
    """A reader saw what belongs to no release, or not to this one."""


def content(tree: str, generation: int) -> dict[str, bytes]:
    paths = ["name", "sub/deep/name", f"only/{generation}", f"third{generation % 3}/f"]
    paths += ["odd"] if generation % 2 else []
    files = {path: f"{tree} {generation} {path}\n".encode() for path in paths}
    return {**files, "sub/same": f"{tree} 0 sub/same\n".encode()}


def write(tree: str, generation: int, directory: Path) -> None:
    for path, data in content(tree, generation).items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)


def check_file(tree: str, path: str, data: bytes) -> None:
    """One of `ALWAYS`, read through one lookup: it is of this tree, and of some generation."""
    if all(content(tree, generation)[path] != data for generation in GENERATIONS):
        raise Torn(f"{tree}/{path} shows {data!r}")


def generation_of(tree: str, found: Mapping[str, bytes]) -> int:
    """The generation that a directory holds, all of it and nothing else."""
    for generation in GENERATIONS:
        if content(tree, generation) == found:
            return generation
    told = {path: data.decode(errors="replace").strip() for path, data in sorted(found.items())}
    raise Torn(f"{tree} shows what no generation is: {told}")


def read_all(directory: int) -> dict[str, bytes]:
    """Every file below an open directory. A missing one is an `OSError`."""
    found = {}
    for here, _, files, fd in os.fwalk(".", dir_fd=directory, onerror=_refuse):
        for name in files:
            file = os.open(name, os.O_RDONLY, dir_fd=fd)
            try:
                found[os.path.normpath(f"{here}/{name}")] = os.read(file, 1000)
            finally:
                os.close(file)
    return found


def generation_at(tree: str, path: Path) -> int:
    """The generation that is at a path, which is looked up once."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return generation_of(tree, read_all(directory))
    finally:
        os.close(directory)


def label(number: int, generations: Mapping[str, int]) -> str:
    """A release's label says which generations it was made of."""
    return f"{number}:" + ",".join(f"{tree}={generation}" for tree, generation in sorted(generations.items()))


def check_label(text: str | None, shown: Mapping[str, int]) -> None:
    """What a release shows is what its label says that it was made of."""
    for part in text.partition(":")[2].split(",") if text else ():
        tree, _, generation = part.partition("=")
        if shown.get(tree) != int(generation):
            raise Torn(f"a release that was made of {text} shows {dict(shown)}")


def _refuse(error: OSError) -> None:
    raise error
