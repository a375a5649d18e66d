"""Who can reach a place, and who else may write to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from treeswap.errors import PlaceRefused
from treeswap.layout import PRIVATE, lies_in

from .filesystems import nearest


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
    import grp  # not at the top: only where a group may write they are needed
    import pwd

    try:
        entry = grp.getgrgid(gid)
    except KeyError:
        return f"the group {gid}, which has no name"
    if entry.gr_name == group:
        return None
    members = {*entry.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)}
    members -= {user.pw_name for user in pwd.getpwall() if user.pw_uid in (owner, 0)}
    return f"the group {entry.gr_name} ({', '.join(sorted(members)[:3])})" if members else None
