"""Which web servers run on this machine, with what they were called with and whom they read files as: /proc tells."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from .seam import Reader, Running, WebServer

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One process."""

    pid: int
    name: str
    parent: int
    reader: Reader


def here(servers: Collection[WebServer]) -> list[Running]:
    """Every server of these kinds that runs in our own view of the files, oldest process first."""
    kinds = {program: server.name for server in servers for program in server.programs}
    seen = {it.pid: it for pid in _pids() if (it := _see(pid, kinds)) is not None}
    masters = [it for it in seen.values() if it.parent not in seen or seen[it.parent].name != it.name]
    found = []
    for master in sorted(masters, key=lambda it: it.pid):
        workers = [it for it in seen.values() if it.parent == master.pid]
        try:
            found.append(_running(kinds[master.name], master, _answering(workers) or master))
        except OSError:  # it has ended, or is in a container
            continue
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]


def _see(pid: int, kinds: Mapping[str, str]) -> _Seen | None:
    try:
        if (_PROC / str(pid) / "comm").read_text().strip() not in kinds:
            return None
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    uid, gid = (int(values[key].split()[3]) for key in ("Uid", "Gid"))  # the fourth is what file access goes by
    gids = frozenset({gid, *map(int, values["Groups"].split())})
    return _Seen(pid, values["Name"], int(values["PPid"]), Reader(uid, gids))


def _answering(workers: list[_Seen]) -> _Seen | None:
    """A process that answers requests: of nginx, the cache's own are none."""
    for worker in workers:
        if b"cache" not in (_PROC / str(worker.pid) / "cmdline").read_bytes():
            return worker
    return None


def _running(server: str, master: _Seen, worker: _Seen) -> Running:
    own = _PROC / str(master.pid)
    if _view("self") != _view(str(master.pid)):
        raise FileNotFoundError(master.pid)
    data = (own / "cmdline").read_bytes().rstrip(b"\0")
    if not data:  # it has ended, and nobody has taken note
        raise FileNotFoundError(master.pid)
    words = [os.fsdecode(word) for word in data.split(b"\0")]
    if words[0].startswith("nginx: master process "):  # nginx writes its title over its words
        words = shlex.split(words[0].removeprefix("nginx: master process "))
    return Running(
        server,
        master.pid,
        _program(own, words[0]),
        tuple(words[1:]),
        Path(_link(own / "cwd") or "/"),
        worker.reader,
        _environment(own),
    )


def _view(pid: str) -> str | None:
    """Which mount namespace a process is in; of others' processes only root may know, and else it is taken for ours."""
    ours = _link(_PROC / "self/ns/mnt")
    return _link(_PROC / pid / "ns/mnt") or ours


def _program(own: Path, called: str) -> str:
    return (_link(own / "exe") or called).removesuffix(" (deleted)")


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _environment(own: Path) -> Mapping[str, str]:
    try:
        data = os.fsdecode((own / "environ").read_bytes())
    except OSError:
        return {}
    return dict(item.split("=", 1) for item in data.split("\0") if "=" in item)
