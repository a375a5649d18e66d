"""Shared paths, as a deploy finds them: in their place already, in what is live now, or nowhere."""

from __future__ import annotations

import os
from pathlib import Path

from treeswap import adopt, occupants
from treeswap.errors import (
    DestinationRefused,
    PlaceRefused,
    UsageError,
)
from treeswap.release import Tree

from .core import Core
from .work import Work


def check(core: Core, work: Work) -> None:
    """Each shared path is there already, comes from what is live now, or is a directory that can be made."""
    adopting = {tree.name for tree in work.adopting}
    for name in work.request.trees:
        tree = work.site.trees[name]
        for shared in tree.shared:
            path = shared.rstrip("/")
            outside = core.layout.shared_of(tree) / path
            inside = _shown_now(core, work, tree, path)
            if inside is not None:
                if os.path.lexists(outside):
                    if name in adopting:
                        raise DestinationRefused(
                            f"both {inside} and {outside} exist, and only one can be the shared {name}/{path}",
                            hint="move one of them away",
                        )
                    continue
                if inside.is_dir() != shared.endswith("/"):
                    kind = "directory" if inside.is_dir() else "file"
                    raise UsageError(f"{inside} is a {kind}", hint="write a shared directory with a slash at its end")
                _check_sqlite(inside, f"{name}/{path}")
                work.moved.setdefault(name, []).append(shared)
            elif not shared.endswith("/") and not os.path.lexists(outside):
                raise PlaceRefused(
                    f"the shared file {outside} does not exist",
                    hint=f"put it there first: mkdir -p {outside.parent} && cp YOUR-FILE {outside}",
                )


def _shown_now(core: Core, work: Work, tree: Tree, path: str) -> Path | None:
    """Where a shared path's content is served from now, if that is not its shared place yet."""
    if tree in work.adopting:
        assert tree.path is not None
        here = tree.path / path
    elif work.current is not None and (version := work.current.versions.get(tree.name)):
        here = core.layout.version(version) / path
    else:
        return None
    return here if os.path.lexists(here) and not here.is_symlink() else None


def _check_sqlite(file: Path, name: str) -> None:
    if not file.is_file() or (companion := adopt.sqlite_companion(file)) is None:
        return
    reason = companion
    if not reason and (who := occupants.is_open(file)):
        reason = f"process {who.pid} ({who.name}, {who.user}) has it open"
    if reason:
        raise DestinationRefused(
            f"the shared file {name} is a SQLite database in use: {reason}",
            hint="share its directory instead, so that it moves with its journal; or stop what uses it",
        )


def is_shared(path: str, tree: Tree) -> bool:
    """Whether a path of a tree is one of its shared paths, or below one."""
    path = path.rstrip("/")
    return any(path == shared.rstrip("/") or path.startswith(shared.rstrip("/") + "/") for shared in tree.shared)
