"""Which processes stand in a directory: by their working directory, program, maps or open files, as /proc tells.

What it does not see: processes of other users, for who is not root, and unix sockets bound below a directory.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Collection, Iterable
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


def sees_all(proc: Path = Path("/proc")) -> bool:
    """Whether every process that could reach a directory here can be looked at: root does, outside of containers, and
    where no other machine is served by this one's kernel."""
    try:
        all_processes = os.readlink(proc / "self/ns/pid") == FIRST_PID_NAMESPACE
    except OSError:
        return False
    return all_processes and os.geteuid() == 0 and not (proc / "fs/nfsd/versions").exists()


def is_held(directory: Path, inodes: Collection[int], proc: Path = Path("/proc")) -> bool:
    """Whether any process can reach this directory, or one in it, without its path: as its working directory or root,
    by an open descriptor, or through a mount, in whatever namespace it is. `inodes` are those of the directory and of
    all directories in it. Also where somebody could not be looked at."""
    status = os.stat(directory)
    looked: set[str] = set()
    for process in _processes(proc):
        try:
            namespace = os.readlink(process / "ns/mnt")
            if namespace not in looked and _is_mounted(directory, process):
                return True
            looked.add(namespace)
            fds = (fd for fd in (process / "fd").iterdir() if _may_be(process / "fdinfo" / fd.name, inodes))
            if any(_leads_to(link, status.st_dev, inodes) for link in (process / "cwd", process / "root", *fds)):
                return True
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            continue  # it is gone
        except OSError:
            if process.name != _INIT:
                return True
    return False


def _leads_to(link: Path, device: int, inodes: Collection[int]) -> bool:
    """Whether what a process has open is one of these. `OSError` where that may not be looked at."""
    try:
        os.readlink(link)
    except FileNotFoundError:
        return False  # it was closed
    try:
        held = os.stat(link)
    except OSError:
        return False  # what cannot be reached is on another filesystem, whose server died or lets nobody in
    return held.st_dev == device and held.st_ino in inodes


def _may_be(fdinfo: Path, inodes: Collection[int]) -> bool:
    """Whether a descriptor may be of one of these, by what the kernel tells: it spares a question to the filesystem,
    which may never answer."""
    try:
        for line in fdinfo.read_bytes().splitlines():
            if line.startswith(b"ino:"):
                return int(line[4:]) in inodes
    except FileNotFoundError:
        pass
    return True


_INIT = "1"
"""In the first namespace this is the system's own, which stands in no site. Some roots may not look at it."""
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The one that all others are in: PROC_PID_INIT_INO of linux/proc_ns.h."""


def _is_mounted(directory: Path, process: Path) -> bool:
    """Whether the directory, or something in it, is mounted elsewhere for a process. Only its name can be compared:
    where the filesystem itself is mounted may be another place there, and btrfs tells another device here than of a
    file."""
    return any(directory.name in line.split(" ")[3].split("/") for line in _mounts(process))


def _mounts(process: Path) -> list[str]:
    try:
        return (process / "mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError as error:
        if error.errno == errno.EINVAL:  # it has ended, and nobody has waited for it yet
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(process)) from error
        raise


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
