"""Which SITE a path belongs to, and where a new one may be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from treeswap import durable
from treeswap.envelope import contents
from treeswap.errors import PlaceRefused, UsageError
from treeswap.layout import MARKER, PRIVATE, Layout, site_of_public_text
from treeswap.release import ReleaseId

PUBLISHED_NAMES = frozenset({"public_html", "htdocs", "www", "html", "public", "static", "media", "wwwroot"})
"""Names of directories that web servers commonly publish whole."""


def site_for(dests: Sequence[Path], deploy_to: Path | None) -> Path:
    """SITE for these (resolved) public paths: `deploy_to`, else where they lead already, else beside the first one."""
    found: dict[Path, Path] = {}
    for dest in dests:
        if (site := _site_of_link(dest)) is not None:
            found.setdefault(site, dest)
    if deploy_to is not None:
        root = Path(os.path.realpath(deploy_to))
        found.setdefault(root, deploy_to)
    if len(found) > 1:
        (one, by_one), (other, by_other) = list(found.items())[:2]
        raise UsageError(
            f"{by_one} belongs to the site {one}, and {by_other} to the site {other}",
            hint="one deploy changes one site; deploy them one after the other",
        )
    if found:
        return next(iter(found))
    return default_place(dests[0]) / dests[0].name


def default_place(dest: Path) -> Path:
    """The directory `.treeswap` beside a public path, but never below one that web servers publish."""
    for ancestor in reversed([dest.parent, *dest.parent.parents]):
        if ancestor != ancestor.parent and _is_published(ancestor):
            return ancestor.parent / PRIVATE
    return dest.parent / PRIVATE


def _is_published(directory: Path) -> bool:
    if directory.name in PUBLISHED_NAMES:
        return True
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    return any(name.startswith("index.") or name == ".htaccess" for name in names)


def site_of(path: Path) -> Path | None:
    """The SITE that a path belongs to: a SITE, what lies in one, a public path or what is below it, or a trees_dir.

    What a version or a shared path holds is content, and makes no site, whatever it looks like.
    """
    path = Path(os.path.abspath(path))
    for here in (path, *path.parents):
        if here.is_symlink() and (site := _site_of_link(here)):
            return site
    real = path.resolve()
    found = owning = None
    for here in (real, *real.parents):
        owner = here if _is_site(here) else _owner_of_trees_dir(here)
        if owner is not None and (found is None or _is_content(found.relative_to(here).parts, owner == here)):
            found, owning = here, owner
    return owning


def _owner_of_trees_dir(directory: Path) -> Path | None:
    try:
        _, root = contents(directory / MARKER).decode().splitlines()[:2]
    except (OSError, ValueError):
        return None
    return Path(root) if os.path.isabs(root) and _is_site(Path(root)) else None


def _is_content(parts: Sequence[str], in_site: bool) -> bool:
    """Whether this way from a SITE, or a trees_dir, leads into a version or a shared path."""
    if in_site:
        return parts[:1] == ("shared",) or (parts[:1] == ("trees",) and len(parts) > 2)
    return ReleaseId.valid(parts[0]) or parts[0] == "shared"


def _site_of_link(path: Path) -> Path | None:
    try:
        told = site_of_public_text(os.readlink(path))
    except OSError:
        return None
    return told[0] if told and _is_site(told[0]) else None


def _is_site(directory: Path) -> bool:
    return (directory / PRIVATE / "site.json").is_file()


def check_site_is_free(layout: Layout) -> None:
    """A directory that is to become SITE is empty, or holds nothing but what a person may put there beforehand."""
    try:
        names = set(os.listdir(layout.root))
    except FileNotFoundError:
        return
    except OSError as error:
        raise PlaceRefused(f"{layout.root} cannot be the site's directory", cause=error)
    known = {PRIVATE, "shared"}
    if layout.records.is_dir():
        # A site that lost its site.json, and is made anew around its releases.
        known |= {"current", "releases", "trees", "run"}
    # Without records, a directory of these names may be another tool's, full of what a sweep would take for leftovers.
    rest = {name for name in names - known if not durable.is_temporary(name)}
    strange = sorted(name for name in rest if not _is_empty_room(layout.root, name))
    if strange:
        raise PlaceRefused(
            f"{layout.root} is to be the site's own directory but holds {strange[0]!r}",
            hint="choose an empty or new directory: --deploy-to DIRECTORY",
        )


def _is_empty_room(root: Path, name: str) -> bool:
    """Whether this is a directory of ours in which nothing is: a first deploy that died may have left it."""
    try:
        return name in ("releases", "trees", "run") and not os.listdir(root / name)
    except NotADirectoryError:
        return False
