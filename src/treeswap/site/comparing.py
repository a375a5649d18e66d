"""A shared path in both its places, in the release that is served and where it is shared: what is newer, and where."""

from __future__ import annotations

import filecmp
import os
import stat
from pathlib import Path

from .homes import Copy


def compare(served: Path, shared: Path, *, is_ours: bool) -> tuple[list[Copy], list[Path]]:
    """What is to be copied, and what cannot be without a person's word: both places may have been written to, or what
    is shared is kept elsewhere, by a link or a mount that somebody made. What is shared `is_ours` if nobody but us has
    written to it."""
    copies: list[Copy] = []
    apart: list[Path] = []
    todo = [served]
    while todo:
        inside = todo.pop()
        outside = shared / inside.relative_to(served)
        try:
            here = os.lstat(inside)
            below = sorted(inside.iterdir(), reverse=True) if stat.S_ISDIR(here.st_mode) else []
        except FileNotFoundError:
            continue  # it is in nobody's view any more
        except PermissionError:
            apart.append(inside)
            continue
        if not _is_content(here.st_mode):
            continue
        try:
            there = os.stat(outside) if inside == served else os.lstat(outside)
        except FileNotFoundError:
            copies.append(Copy(inside, outside))
            continue
        if stat.S_IFMT(here.st_mode) != stat.S_IFMT(there.st_mode):
            apart.append(inside)
        elif stat.S_ISDIR(here.st_mode):
            todo += below
        elif not _is_same(inside, here, outside, there):
            newer = here.st_mtime_ns > there.st_mtime_ns
            if is_ours and newer:
                copies.append(Copy(inside, outside, replaces=True))
            elif is_ours or newer:
                apart.append(inside)
            # Else what is shared was written to since.
    if copies and _is_elsewhere(served, shared):
        return [], [*apart, *(copy.inside for copy in copies)]
    return copies, apart


def _is_content(mode: int) -> bool:
    """Sockets, fifos and devices belong to running programs."""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _is_same(inside: Path, here: os.stat_result, outside: Path, there: os.stat_result) -> bool:
    if stat.S_ISLNK(here.st_mode):
        return os.readlink(inside) == os.readlink(outside)
    if here.st_size != there.st_size:
        return False
    return here.st_mtime_ns == there.st_mtime_ns or filecmp.cmp(inside, outside, shallow=False)


def _is_elsewhere(served: Path, shared: Path) -> bool:
    if not os.path.lexists(shared):
        return False
    return shared.is_symlink() or os.stat(shared).st_dev != os.stat(served).st_dev
