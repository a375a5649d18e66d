"""Where things may be: public paths, SITE, trees_dirs and sources, in relation to each other. Looks, never writes.

Promise: a place that passed these checks can be reached by whoever could reach the public path, is written to by nobody
else, and holds no other place of the same deploy.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from . import durable
from .envelope import contents
from .errors import DestinationRefused, PlaceRefused, SourceRefused, UsageError
from .layout import MARKER, PRIVATE, Layout, lies_in, site_of_public_text
from .release import ReleaseId, Tree

PUBLISHED_NAMES = frozenset({"public_html", "htdocs", "www", "html", "public", "static", "media", "wwwroot"})
"""Names of directories that web servers commonly publish whole."""


# ---------------------------------------------------------------- public paths


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


# ---------------------------------------------------------------- SITE


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


def check_place(directory: Path, what: str, dests: Iterable[Path], group: str | None) -> None:
    """Whether SITE (or a trees_dir) may be at `directory`, which may not exist yet. `PlaceRefused`."""
    for dest in dests:
        _check_reachable(directory, what, dest)
    existing = nearest(directory)
    if existing == directory:
        _check_writers(directory, what, group)
    elif not os.access(existing, os.W_OK | os.X_OK):
        raise PlaceRefused(
            f"no permission to make {what} {directory}",
            hint="choose another place for it: --deploy-to DIRECTORY",
        )


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


# ---------------------------------------------------------------- filesystems


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


# ---------------------------------------------------------------- the parts


def _site_of_link(path: Path) -> Path | None:
    try:
        told = site_of_public_text(os.readlink(path))
    except OSError:
        return None
    return told[0] if told and _is_site(told[0]) else None


def _is_site(directory: Path) -> bool:
    return (directory / PRIVATE / "site.json").is_file()


def _is_published(directory: Path) -> bool:
    if directory.name in PUBLISHED_NAMES:
        return True
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    return any(name.startswith("index.") or name == ".htaccess" for name in names)


def _check_reachable(directory: Path, what: str, dest: Path) -> None:
    """Whoever can reach `dest` must reach `directory`: its ancestors are as open, or restricted in the same way."""
    narrow = {_reach(ancestor) for ancestor in dest.parents}
    for ancestor in directory.parents:
        if lies_in(dest, ancestor) or not ancestor.exists():
            continue
        mode, uid, gid, acl = _reach(ancestor)
        if mode & stat.S_IXOTH or acl or (mode, uid, gid, acl) in narrow:
            continue
        raise PlaceRefused(
            f"{what} {directory} could not be reached by everybody who reads {dest}: {ancestor} is closed to others",
            hint=f"choose a place that they can reach with --deploy-to DIRECTORY, or open it: chmod o+x {ancestor}",
        )


def _reach(directory: Path) -> tuple[int, int, int, bool]:
    status = os.stat(directory)
    try:
        acl = "system.posix_acl_access" in os.listxattr(directory)
    except (OSError, AttributeError):
        acl = False
    return status.st_mode & 0o111, status.st_uid, status.st_gid, acl


def _check_writers(directory: Path, what: str, group: str | None) -> None:
    for here in (directory, directory / PRIVATE):
        try:
            status = os.stat(here)
        except FileNotFoundError:
            continue
        if status.st_mode & stat.S_IWOTH:
            raise PlaceRefused(f"{what} {here} is writable by everybody", hint=f"close it: chmod o-w {here}")
        if status.st_mode & stat.S_IWGRP and (others := _other_members(status.st_gid, status.st_uid, group)):
            raise PlaceRefused(
                f"{what} {here} is writable by {others}",
                hint=f"close it with chmod g-w {here}, or name the group that may deploy: --group NAME",
            )


def _other_members(gid: int, owner: int, group: str | None) -> str | None:
    """The group and its members besides the owner; None where there are none, or where the group may deploy."""
    try:
        entry = grp.getgrgid(gid)
    except KeyError:
        return f"the group {gid}, which has no name"
    if entry.gr_name == group:
        return None
    members = {*entry.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)}
    members -= {user.pw_name for user in pwd.getpwall() if user.pw_uid in (owner, 0)}
    return f"the group {entry.gr_name} ({', '.join(sorted(members)[:3])})" if members else None
