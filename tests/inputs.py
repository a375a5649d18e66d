"""Real inputs, fetched once from where everybody gets them, and kept in a directory of the user's: the source
distribution of Django, and a node_modules; the packages that the page about Django installs; and, for `make bench`, a
larger node_modules.

`python tests/inputs.py` fetches the first two and prints where they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(__file__).parent / "data"


class Unavailable(Exception):
    """An input cannot be had here; says why."""


def kept() -> Path:
    """Where they are kept: $TREESWAP_INPUTS, or a directory in the user's cache."""
    asked = os.environ.get("TREESWAP_INPUTS")
    return Path(asked) if asked else Path.home() / ".cache" / "treeswap-inputs"


def django() -> Path:
    """Some 7,000 files. The version and its digest are in data/django.txt."""
    line = (DATA / "django.txt").read_text().split()[0]
    return _kept(line.replace("==", "-"), _fetch_django)


def node_modules() -> Path:
    """Some 21,000 files: what data/node/package-lock.json lists."""
    return _kept("node_modules", _fetch_node_modules)


def more_node_modules() -> Path:
    """Some 54,000 files: what data/node-more/package-lock.json lists."""
    return _kept("node_modules-more", lambda room: _fetch_packages(room, "node-more", "--legacy-peer-deps"))


def packages() -> Path:
    """The wheels of what data/django-page.txt lists, for this Python; pip finds them by --find-links."""
    listed = (DATA / "django-page.txt").read_bytes()
    return _kept(f"wheels-{sys.implementation.cache_tag}-{hashlib.sha256(listed).hexdigest()[:12]}", _fetch_wheels)


def _fetch_wheels(room: Path) -> Path:
    words = ["download", "--quiet", "--only-binary", ":all:", "--requirement", str(DATA / "django-page.txt")]
    _run([sys.executable, "-m", "pip", *words, "--dest", "wheels"], room)
    return room / "wheels"


def _fetch_django(room: Path) -> Path:
    words = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
    _run([sys.executable, "-m", "pip", *words, "--requirement", str(DATA / "django.txt"), "--dest", "."], room)
    (archive,) = room.glob("*.tar.gz")
    _run(["tar", "--extract", "--gzip", "--no-same-owner", "--file", archive.name], room)
    (unpacked,) = (path for path in room.iterdir() if path.is_dir())
    return unpacked


def _fetch_node_modules(room: Path) -> Path:
    return _fetch_packages(room, "node")


def _fetch_packages(room: Path, listed: str, *words: str) -> Path:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(DATA / listed / file, room)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *words], room)
    return room / "node_modules"


def _kept(name: str, fetch: Callable[[Path], Path]) -> Path:
    """The input of this name; fetched aside and renamed when whole, by one process at a time."""
    place = kept() / name
    kept().mkdir(parents=True, exist_ok=True)
    with _alone(kept() / "lock"):
        if not place.is_dir():
            with tempfile.TemporaryDirectory(prefix="fetching-", dir=kept()) as room:
                fetch(Path(room)).rename(place)
    return place


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], directory: Path) -> None:
    try:
        subprocess.run(
            command, cwd=directory, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as failed:
        raise Unavailable(f"{command[0]} could not fetch it: {failed.stderr.strip()[-500:]}") from None


if __name__ == "__main__":
    for fetch in (django, node_modules):
        print(fetch())
