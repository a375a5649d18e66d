"""Which filesystem a place is on, and so where the versions of a tree must be."""

from __future__ import annotations

import os
from pathlib import Path

from treeswap.errors import PlaceRefused
from treeswap.layout import MARKER

from .sites import default_place


def place_of(path: Path) -> tuple[int, str]:
    """The filesystem and mount that a path is on: what rename(2) compares. Of the path itself, not what it links to."""
    device = os.lstat(path).st_dev
    if not hasattr(os, "O_PATH"):
        return device, ""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        information = Path(f"/proc/self/fdinfo/{fd}").read_text()
    except OSError:
        return device, ""
    finally:
        os.close(fd)
    return device, next((line for line in information.splitlines() if line.startswith("mnt_id:")), "")


def nearest(path: Path) -> Path:
    """The path, or its nearest ancestor that exists."""
    return next(here for here in (path, *path.parents) if here.exists())


def default_trees_dir(path: Path, name: str, root: Path) -> Path | None:
    """Where the versions of a tree with this public path must be: None for in SITE, which is on the same filesystem."""
    wanted = place_of(path.parent)
    if place_of(nearest(root)) == wanted:
        return None
    trees_dir = default_place(path) / f"{name}.trees"
    if place_of(nearest(trees_dir)) != wanted:
        raise PlaceRefused(
            f"{path} is on another filesystem than the site {root}, and so is {trees_dir}, the default place for its "
            f"versions",
            hint=f"set trees_dir of {name} to a directory on the filesystem of {path.parent} that is not published",
        )
    return trees_dir


def check_trees_dir(trees_dir: Path, site_id: str) -> None:
    """A trees_dir that versions are expected in carries its site's mark: without it, it is not mounted."""
    try:
        owner = (trees_dir / MARKER).read_text().partition("\n")[0]
    except (OSError, ValueError) as error:
        raise PlaceRefused(
            f"{trees_dir} does not carry its site's mark; is its filesystem mounted?",
            hint="mount it and try again; nothing in it was touched",
            cause=error,
        )
    if owner != site_id:
        raise PlaceRefused(f"{trees_dir} belongs to another site", hint="give each site's tree a trees_dir of its own")
