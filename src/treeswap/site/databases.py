"""SQLite databases among what is to be shared: one that is in use is refused."""

from __future__ import annotations

import os
from pathlib import Path

from treeswap import adopt, occupants
from treeswap.errors import DestinationRefused


def refuse_open_below(path: Path, name: str) -> None:
    """A database that is copied while it is written to is torn, or lacks what is still in its journal. `name` is what
    `path`, a file or a directory, is called for a person."""
    if path.is_symlink() or not path.is_dir():
        refuse_open(path, name)
        return
    for directory, _, names in os.walk(path):
        for file in names:
            refuse_open(Path(directory, file), str(Path(name, Path(directory, file).relative_to(path))))


def refuse_open(file: Path, name: str, way_out: str = "") -> None:
    if file.is_symlink() or not file.is_file() or (companion := adopt.sqlite_companion(file)) is None:
        return
    reason = companion
    if not reason and (who := occupants.is_open(file)):
        reason = f"process {who.pid} ({who.name}, {who.user}) has it open"
    if reason:
        raise DestinationRefused(
            f"the shared file {name} is a SQLite database in use: {reason}",
            hint=f"{way_out}stop what uses it",
        )
