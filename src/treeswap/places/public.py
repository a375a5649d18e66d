"""Public paths and sources: what may be there, and that none lies in another, or in SITE."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from treeswap.errors import DestinationRefused, SourceRefused, UsageError
from treeswap.layout import Layout, lies_in
from treeswap.release import Tree

from .filesystems import place_of
from .sites import site_of


def resolved(dest: Path) -> Path:
    """DEST as an absolute path: its parent, which must exist, with every symlink followed; itself not."""
    path = Path(os.path.abspath(dest))
    try:
        parent = path.parent.resolve(strict=True)
    except OSError as error:
        raise DestinationRefused(
            f"the parent directory of {path} does not exist", hint=f"make it first: mkdir -p {path.parent}", cause=error
        )
    return parent / path.name


def public_state(path: Path, layout: Layout, name: str) -> str:
    """What is at a public path: `missing`, `ours` (the link of this tree) or `live` (a plain directory, to adopt).

    `DestinationRefused` for anything else.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise DestinationRefused(f"{path} cannot be looked at", cause=error)
    if stat.S_ISLNK(mode):
        text = os.readlink(path)
        if text == layout.public_text(name):
            return "ours"
        raise DestinationRefused(
            f"{path} is a symlink to {text}, which is not a public path of the site {layout.root}",
            hint=f"deploy to what it leads to, or move it away: mv {path} {path}.old",
        )
    if not stat.S_ISDIR(mode):
        raise DestinationRefused(
            f"{path} is not a directory", hint="a tree takes the place of a directory; move the file away first"
        )
    if place_of(path) != place_of(path.parent) or os.path.ismount(path):
        raise DestinationRefused(
            f"{path} is a mount point, which cannot become a link",
            hint=f"deploy to a directory in it, or unmount it and deploy with trees_dir on that filesystem: {path}",
        )
    return "live"


def check_parent(path: Path) -> None:
    """Whether an entry may be made beside `path` from here."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DestinationRefused(
            f"no permission to change {path.parent}, where the public path {path.name} has its link",
            hint=f"run this as a user who may write to {path.parent}, or have the link made by its owner",
        )


def check_dests(layout: Layout, trees: Mapping[str, Tree]) -> None:
    """No public path twice, in another, in SITE, or around it. `UsageError`."""
    paths: dict[Path, str] = {}
    for tree in trees.values():
        if tree.path is None:
            continue
        if lies_in(tree.path, layout.root) or lies_in(layout.root, tree.path):
            raise UsageError(
                f"the public path {tree.path} and the site's own directory {layout.root} lie in each other",
                hint="choose another place for the site: --deploy-to DIRECTORY",
            )
        if (foreign := site_of(tree.path.parent)) not in (None, layout.root):
            raise UsageError(
                f"the public path {tree.path} lies inside another site, {foreign}",
                hint="deploy to a directory outside of it",
            )
        for other, name in paths.items():
            if tree.path == other:
                raise UsageError(f"the public path {other} is named twice, for {name!r} and {tree.name!r}")
            if lies_in(tree.path, other) or lies_in(other, tree.path):
                inner, outer = (tree.path, other) if lies_in(tree.path, other) else (other, tree.path)
                raise UsageError(
                    f"the public path {inner} lies inside the public path {outer}",
                    hint="deploy them as one tree, or exclude the inner directory and move it elsewhere",
                )
        paths[tree.path] = tree.name


def check_source(source: Path, tree: Tree, layout: Layout, trees: Iterable[Tree]) -> None:
    """A source must not be, contain, or lie in SITE, a trees_dir, or any public path."""
    real = Path(os.path.realpath(source))
    # Public paths first: they lead into SITE, and are what a person knows.
    forbidden = [(other.path, f"the public path of {other.name}") for other in trees if other.path is not None]
    forbidden += [(other.trees_dir, f"the versions of {other.name}") for other in trees if other.trees_dir is not None]
    forbidden.append((layout.root, "the site's own directory"))
    relations: dict[str, Callable[[Path], bool]] = {
        "is": lambda here: real == here,
        "lies in": lambda here: lies_in(real, here),
        "contains": lambda here: lies_in(here, real),
    }
    for relation, holds in relations.items():
        for place, what in forbidden:
            if holds(place) or holds(Path(os.path.realpath(place))):
                raise SourceRefused(
                    f"the source {source} of {tree.name} {relation} {place}, {what}",
                    hint="deploy from a directory of its own, for instance a checkout",
                )
