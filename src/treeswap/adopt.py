"""Turning a live directory into a public path with no moment at which it is missing, and back.

Promise: one exchange puts the public link in the directory's place and the directory into its version's slot, writers
and all. Whoever reads through the public path meets the same directory before and after. Every function here can be
called again after a crash at any point of it, and goes forward.

Not covered: `Gap` moves, for filesystems without exchange, have a moment in which the public path is missing.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import durable
from .layout import Layout
from .release import ReleaseId, Tree

_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Move:
    """One live directory on its way: `public` becomes a link that reads `text`, `slot` the directory. `shared` paths
    are taken out of it, to below `shared_root`. `gap` allows two renames instead of an exchange."""

    tree: str
    public: Path
    slot: Path
    text: str
    shared_root: Path
    shared: tuple[str, ...] = ()
    gap: bool = False

    def details(self) -> dict[str, Any]:
        """The move as the journal keeps it."""
        return {
            "tree": self.tree,
            "public": str(self.public),
            "slot": str(self.slot),
            "text": self.text,
            "shared_root": str(self.shared_root),
            "shared": list(self.shared),
            "gap": self.gap,
        }

    @classmethod
    def into(cls, layout: Layout, tree: Tree, id: ReleaseId, *, gap: bool) -> Move:
        """The move of a tree's live directory into the version that this release brings."""
        assert tree.path is not None
        slot, text = layout.versions(tree) / id, layout.public_text(tree.name)
        return cls(tree.name, tree.path, slot, text, layout.shared_of(tree), tree.shared, gap)


def is_begun(move: Move) -> bool:
    """Whether the directory has left its public path."""
    return durable.is_plain_directory(move.slot)


def put_slot(move: Move) -> None:
    """The symlink that waits at the version's slot for the exchange. Not durable by itself: the exchange comes after it
    in the same directory."""
    if not os.path.lexists(move.slot):
        durable.put_link(move.text, move.slot)


def carry_out(move: Move) -> float:
    """Makes the exchange, takes the shared paths out, all durable. Gives the seconds for which the public path was
    missing: 0.0 but for a gap."""
    gap = 0.0
    if not is_begun(move):
        put_slot(move)
        if move.gap:
            gap = _through_a_gap(move)
        else:
            durable.exchange(move.public, move.slot)
    elif not os.path.lexists(move.public):
        durable.put_link(move.text, move.public)
    durable.fsync_directory(move.public.parent)
    durable.fsync_directory(move.slot.parent)
    for path in move.shared:
        inside, outside = move.slot / path.rstrip("/"), move.shared_root / path.rstrip("/")
        if move.gap:
            gap = max(gap, _take_out_through_a_gap(inside, outside))
        else:
            take_out(inside, outside)
    return gap


def undo(move: Move) -> None:
    """Takes the waiting symlink away again, where the directory is still at its public path."""
    if durable.leads_through(move.slot, move.text):
        durable.remove_file(move.slot)


def take_out(inside: Path, outside: Path) -> None:
    """Moves a file or directory out of a live directory to its shared place, a link in its stead; durable. Nothing
    happens where it is a link already, or not there."""
    if not os.path.lexists(inside) or inside.is_symlink():
        return
    durable.make_directories_durably(outside.parent, 0o755)
    if not os.path.lexists(outside):
        durable.put_link(str(outside), outside)
    durable.exchange(inside, outside)
    durable.fsync_directory(inside.parent)
    durable.fsync_directory(outside.parent)


def sqlite_companion(file: Path) -> str | None:
    """Why a SQLite file must not be moved just now, from what stands beside it; None for other files."""
    try:
        with file.open("rb") as opened:
            if opened.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                return None
    except OSError:
        return None
    for suffix in ("-wal", "-shm", "-journal"):
        if os.path.lexists(f"{file}{suffix}"):
            return f"{file.name}{suffix} stands beside it"
    return ""


def give_back(public: Path, copy: Path, mode: int) -> None:
    """Puts an independent copy in the place of a public link, by one exchange; durable. `copy` is then the link, and
    the directory has this mode: to be moved, it must be writable for its owner meanwhile."""
    if not durable.is_plain_directory(public):
        durable.set_mode(copy, mode | stat.S_IWUSR)
        durable.exchange(public, copy)
    durable.set_mode(public, mode)
    durable.fsync_directory(public)
    durable.fsync_directory(public.parent)
    durable.fsync_directory(copy.parent)


def _through_a_gap(move: Move) -> float:
    durable.remove_file(move.slot)
    began = time.monotonic()
    durable.rename_to_free(move.public, move.slot)
    durable.put_link(move.text, move.public)
    return time.monotonic() - began


def _take_out_through_a_gap(inside: Path, outside: Path) -> float:
    """As `take_out`. The link that waits beside `inside` tells, after a crash, that the path is on its way."""
    waiting = _waiting_link(inside, outside)
    there = os.path.lexists(inside) and not inside.is_symlink()
    if waiting is None and not there:
        return 0.0
    durable.make_directories_durably(outside.parent, 0o755)
    if waiting is None:
        waiting = inside.parent / durable.temporary_name(inside.name)
        durable.put_link(str(outside), waiting)
        durable.fsync_directory(inside.parent)
    began = time.monotonic()
    if there:
        durable.rename_to_free(inside, outside)
    durable.rename_over(waiting, inside)
    gap = time.monotonic() - began
    durable.fsync_directory(inside.parent)
    durable.fsync_directory(outside.parent)
    return gap


def _waiting_link(inside: Path, outside: Path) -> Path | None:
    try:
        names = os.listdir(inside.parent)
    except FileNotFoundError:
        return None
    found = (inside.parent / name for name in names if durable.is_temporary(name))
    return next((path for path in found if durable.leads_through(path, str(outside))), None)
