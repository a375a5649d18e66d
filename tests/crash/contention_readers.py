"""Readers of a contended site, each in a process of its own: through the public paths, through `Site.pin()`, and as the
program that `treeswap exec` runs.

Each tells what it counted, and what it saw that must not be, in lines of JSON at the end of one file that all share: so
who is killed has told all but its last moments.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from crash.contention_content import ALWAYS, Torn, check_file, check_label, generation_at

_TELL_EVERY = 0.2
_PAUSE = 0.005
"""Seconds between two rounds of a reader: there are few cores, and the writers need them."""

_BURST = 100
"""Lookups one after the other: a moment at which a path is missing is short, and is to be met."""


class Teller:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._counts: Counter[str] = Counter()
        self._told_at = time.monotonic()

    def count(self, what: str, number: int = 1) -> None:
        self._counts[what] += number
        if time.monotonic() - self._told_at > _TELL_EVERY:
            self.flush()

    def flush(self) -> None:
        self._tell(counts=self._counts)
        self._counts.clear()
        self._told_at = time.monotonic()

    def held(self, versions: Mapping[str, int]) -> None:
        """The generation of each version, which is written TREE/ID, that was seen whole."""
        self._tell(versions=versions)

    def broken(self, what: str) -> None:
        self._tell(broken=what)

    def _tell(self, **what: object) -> None:
        # The first line break ends what another left half-written when it was killed.
        os.write(self._fd, f"\n{json.dumps(what)}\n".encode())


def plain(public: Mapping[str, Path], grace: float, told: Teller, is_there: Callable[[str], bool]) -> int:
    """One lookup a file, never failing; and one lookup for a directory, all of which is of one version for at least the
    grace time. `is_there` says whether a tree was served before this reader came."""
    there = {tree for tree in public if is_there(tree)}
    name = {tree: f"{path}/{ALWAYS[0]}" for tree, path in public.items()}
    for number in range(sys.maxsize):
        for tree, path in public.items():
            try:
                for file in ALWAYS:
                    check_file(tree, file, (path / file).read_bytes())
                    told.count("lookups")
                there.add(tree)
                for _ in range(_BURST):
                    os.stat(name[tree])
                told.count("lookups", _BURST)
                if number % 5 == 0:
                    _whole(tree, path, grace, told)
            except (OSError, Torn) as error:
                if tree in there or isinstance(error, Torn):
                    told.broken(f"a reader through {path}: {error}")
                    return 1
        time.sleep(_PAUSE)
    return 0


def _whole(tree: str, path: Path, grace: float, told: Teller) -> None:
    began = time.monotonic()
    try:
        generation_at(tree, path)
    except (OSError, Torn):
        if time.monotonic() - began < grace:
            raise
        told.count("slow")
    else:
        told.count("directories")


def pinned(site: Path, seed: str, told: Teller, is_served: bool) -> int:
    """Blocks of `Site.pin()`, some of which last longer than the grace time."""
    import treeswap
    from treeswap.errors import NoSuchRelease, NotASite

    rng = random.Random(seed)
    opened = None
    while True:
        try:
            if opened is None or rng.random() < 0.2:
                opened = treeswap.Site.open(site)
            with opened.pin() as release:
                versions = {tree: version.id for tree, version in release.record.versions.items()}
                is_served = True

                def look(release: treeswap.Release = release, versions: Mapping[str, str] = versions) -> None:
                    _look(release.dirs, versions, release.record.label, told)

                _stay(look, rng.choice((0.0, 0.05, 0.3, 3.0)))
                told.count("pins")
        except (NotASite, NoSuchRelease) as error:
            if is_served:
                told.broken(f"a reader through Site.pin(): {error}")
                return 1
            opened = None
        except (OSError, Torn, treeswap.TreeswapError) as error:
            told.broken(f"a reader through Site.pin(): {type(error).__name__}: {error}")
            return 1
        time.sleep(_PAUSE)


def _look(dirs: Mapping[str, Path], versions: Mapping[str, str], label: str | None, told: Teller) -> None:
    shown = {tree: generation_at(tree, path) for tree, path in dirs.items()}
    check_label(label, shown)
    told.held({f"{tree}/{versions[tree]}": generation for tree, generation in shown.items()})


def _stay(look: Callable[[], None], seconds: float) -> None:
    """Looks at the beginning, now and then, and at the end. Nothing is open meanwhile but the lease."""
    until = time.monotonic() + seconds
    look()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
        look()


def executed(seconds: float, told: Teller) -> int:
    """What `exec` runs: it looks at its release for a while, through the release's own directory."""
    release = Path(os.environ["TREESWAP_RELEASE"])
    id, private = os.environ["TREESWAP_RELEASE_ID"], Path(os.environ["TREESWAP_SITE"]) / ".treeswap"
    try:
        record = json.loads((private / "records" / f"{id}.json").read_bytes())
        versions = {version["tree"]: version["id"] for version in record["versions"]}
        dirs = {tree: release / tree for tree in versions}
        _stay(lambda: _look(dirs, versions, record["label"], told), seconds)
    except (OSError, Torn) as error:
        told.broken(f"a reader that exec has run in {id}: {error}")
        return 1
    told.count("execs")
    told.flush()
    return 0


if __name__ == "__main__":
    # FD SECONDS, and whether to leave the reading to a child: the lease ends with the last that has it.
    if sys.argv[3] == "child" and os.fork():
        os._exit(0)
    sys.exit(executed(float(sys.argv[2]), Teller(int(sys.argv[1]))))
