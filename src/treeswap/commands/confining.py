"""A mount namespace in which a command sees a stage where the site is, and can write to nothing else of the site.

A bind mount onto `current` would land on what it leads to. So SITE is covered by a small filesystem of its own, whose
`current` leads to the stage; what holds versions is bound into it read-only, and what may be written over that again.
As an ordinary user this takes a user namespace, in which the user has the same number.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV = 1, 2, 4
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 32, 4096, 16384, 1 << 19
_KEPT = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""What statvfs(2) says of a mount, and the flag of mount(2) for it: nosuid, nodev, noexec and those of access times. An
ordinary user must keep them."""

_libc = ctypes.CDLL(None, use_errno=True)


def confine(told: dict[str, Any]) -> None:
    """Moves this process into such a namespace, by what `Confinement.told` tells. `OSError` where that is not allowed;
    the process is of no use then."""
    site, release = Path(told["site"]), told["release"]
    homes, writable = [Path(p) for p in told["homes"]], [Path(p) for p in told["writable"]]
    covered = {Path(live): Path(version) for live, version in told["covered"].items()}
    _enter_namespace()
    shown = [path for path in (site / "trees", site / "shared", site / "run") if path.is_dir()]
    links = _links(site / "releases" / release)
    # By descriptors, which lead to what is there now: nothing of it has a path when SITE is covered.
    held = {path: _hold(path) for path in {*shown, *homes, *writable, *covered.values()}}
    _mount("tmpfs", site, "tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=0755,size=1m")
    os.symlink(f"releases/{release}", site / "current")
    os.makedirs(site / "releases" / release)
    for name, text in links.items():
        os.symlink(text, site / "releases" / release / name)
    for path in shown:
        path.mkdir()
        _bind(held[path], path)
    for path in {site / "trees", *homes}:
        if path in held:
            _bind(held[path], path, read_only=True)
    for live, version in covered.items():
        _bind(held[version], live, read_only=version not in writable)
    for path in writable:
        _bind(held[path], path)
        for live, version in covered.items():
            if version in path.parents:
                _bind(held[path], live / path.relative_to(version))
    _remount_read_only(site)


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", _CLONE_NEWNS)
    except PermissionError:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    # What is mounted here is seen by nobody else; what others unmount is not held here.
    _mount("none", Path("/"), None, _MS_REC | _MS_SLAVE)


def _links(release: Path) -> dict[str, str]:
    try:
        return {path.name: os.readlink(path) for path in release.iterdir() if path.is_symlink()}
    except FileNotFoundError:
        return {}


def _hold(path: Path) -> str:
    return f"/proc/self/fd/{os.open(path, os.O_PATH | os.O_CLOEXEC)}"


def _bind(source: str, target: Path, *, read_only: bool = False) -> None:
    _mount(source, target, None, _MS_BIND | _MS_REC)
    if read_only:
        _remount_read_only(target)


def _remount_read_only(path: Path) -> None:
    flags = os.statvfs(path).f_flag
    kept = sum(flag for told, flag in _KEPT.items() if flags & told)
    _mount("none", path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)


def _mount(source: str, target: Path, kind: str | None, flags: int, data: bytes | None = None) -> None:
    words = (os.fsencode(source), os.fsencode(target), None if kind is None else kind.encode())
    _call("mount", *words, ctypes.c_ulong(flags), data, about=str(target))


def _call(name: str, *arguments: Any, about: str | None = None) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
