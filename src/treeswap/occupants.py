"""Which processes stand in a directory: by their working directory, program, maps or open files, as /proc tells.

What it does not see: processes of other users, for who is not root, and unix sockets bound below a directory.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Occupant:
    pid: int
    name: str
    user: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name}, {self.user}) stands in it"


def find(directories: Iterable[Path], proc: Path = Path("/proc")) -> dict[Path, Occupant]:
    """One process for each of these (resolved) directories that has any."""
    prefixes = {f"{directory}/": directory for directory in directories}
    found: dict[Path, Occupant] = {}
    if not prefixes:
        return found
    for process in _processes(proc):
        for path in _paths(process):
            for prefix, directory in prefixes.items():
                if directory not in found and f"{path}/".startswith(prefix):
                    found[directory] = _occupant(process)
    return found


def is_open(file: Path, proc: Path = Path("/proc")) -> Occupant | None:
    """A process that has this very file open, where that can be seen."""
    status = os.stat(file)
    for process in _processes(proc):
        for fd in _listed(process / "fd"):
            try:
                if os.path.samestat(os.stat(fd), status):
                    return _occupant(process)
            except OSError:
                continue
    return None


def _processes(proc: Path) -> list[Path]:
    return [path for path in _listed(proc) if path.name.isdigit()]


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _paths(process: Path) -> set[str]:
    """Everything that a process has of the filesystem; what may not be seen is left out."""
    paths = set()
    for link in (process / "cwd", process / "exe", process / "root", *_listed(process / "fd")):
        try:
            paths.add(os.readlink(link).removesuffix(" (deleted)"))
        except OSError:
            continue
    try:
        maps = (process / "maps").read_bytes().splitlines()
    except OSError:
        maps = []
    for line in maps:
        _, slash, path = line.partition(b"/")
        if slash:
            paths.add(os.fsdecode(b"/" + path).removesuffix(" (deleted)"))
    return paths


def _occupant(process: Path) -> Occupant:
    try:
        name = (process / "comm").read_text(errors="replace").strip()
        uid = process.stat().st_uid
    except OSError:
        return Occupant(int(process.name), "gone", "?")
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Occupant(int(process.name), name, user)
