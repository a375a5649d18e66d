"""Programs that no package manager has beside the ones that are installed: an older rsync, unpacked into a cache."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import inputs as fetched

_OLDER = "3.2.7"
_PLACES = ("share/rsync/scripts/atomic-rsync", "share/doc/rsync/scripts/atomic-rsync",
           "share/doc/rsync/support/atomic-rsync", "share/doc/rsync/examples/atomic-rsync")  # fmt: skip


@cache
def older_rsync() -> Path:
    """rsync 3.2.7: the one that is installed, if it is that; else out of Debian's package, fetched once."""
    installed = shutil.which("rsync")
    if installed and _version(Path(installed)) == _OLDER:
        return Path(installed)
    place = fetched.kept() / f"rsync-{_OLDER}"
    if not place.is_dir():
        fetched.kept().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=fetched.kept()) as room:
            _unpack_debian(Path(room)).rename(place)
    program = place / "usr" / "bin" / "rsync"
    if _version(program) != _OLDER:
        raise fetched.Unavailable(f"{program} does not run here")
    return program


@cache
def atomic_rsync() -> Path:
    """rsync's script, from the package that is installed, else from the older one."""
    try:
        older = [older_rsync().parents[1]]
    except fetched.Unavailable:
        older = []
    for root in (Path("/usr"), *older):
        for place in _PLACES:
            if (root / place).is_file():
                return root / place
            if (root / f"{place}.gz").is_file():
                return _unpacked(root / f"{place}.gz")
    raise fetched.Unavailable("no package of rsync here has the script")


def _unpack_debian(room: Path) -> Path:
    """What Debian's package of that version holds, in a directory of its own."""
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise fetched.Unavailable(f"version {_OLDER} comes as a Debian package, and there is no {program}")
    versions = [line.split("|")[1].strip() for line in _told(["apt-cache", "madison", "rsync"]).splitlines()]
    chosen = [version for version in versions if version.startswith(f"{_OLDER}-")]
    if not chosen:
        raise fetched.Unavailable(f"the package lists have rsync {', '.join(versions) or 'not at all'}, not {_OLDER}")
    _told(["apt-get", "download", f"rsync={chosen[0]}"], room)
    (package,) = room.glob("*.deb")
    _told(["dpkg-deb", "--extract", package.name, "unpacked"], room)
    return room / "unpacked"


def _unpacked(script: Path) -> Path:
    place = fetched.kept() / "atomic-rsync"
    fetched.kept().mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.decompress(script.read_bytes()))
    return place


def _version(program: Path) -> str | None:
    try:
        return _told([str(program), "--version"]).split()[2]
    except (fetched.Unavailable, IndexError):
        return None


def _told(command: list[str], directory: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True, timeout=300)
    except OSError as error:
        raise fetched.Unavailable(f"{command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as failed:
        raise fetched.Unavailable(f"{command[0]}: {failed.stderr.strip()[-300:]}") from None
    return done.stdout
