"""The demonstration from beginning to end, in directories of its own, of which nothing is left."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from treeswap.errors import Failed

from . import example
from .example import Place
from .picture import Picture
from .readers import reading
from .shell import PYTHON, Shell
from .verdict import Move, judge

_OTHER_FILESYSTEM = Path("/dev/shm")
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that changes which version is served, and which one is after it. `asks` for the page afterwards."""

    label: str
    version: str
    asks: bool = False


STEPS = (
    Step("copy --adopt", "2", asks=True),
    Step("copy", "3"),
    Step("rollback", "2", asks=True),
    Step("copy", "4"),
    Step("copy", "5"),
    Step("rollback", "4"),
    Step("rollback", "2"),  # 3 is bad: it was rolled back from
    Step("switch", "5", asks=True),
)


def play(console: Console, *, readers: int, pause: float) -> Picture:
    """Deploys and rolls back while that many readers read, with `pause` seconds between; prints each command and what
    it says. `Failed` if a command fails."""
    with _directories() as (work, elsewhere):
        places = (
            Place("apps", work / "new/apps", work / "home/anna/apps"),
            Place("conf", work / "new/conf", work / "etc/conf"),
            Place("static", work / "new/static", elsewhere / "srv/static"),
        )
        story = _Story(console, work, places)
        story.begin()
        with reading(places, readers) as tracks:
            began = time.monotonic()
            time.sleep(pause)
            moves = []
            for step in STEPS:
                moves.append(story.take(step))
                time.sleep(pause)
            ended = time.monotonic()
        story.end()
        return Picture(
            tracks=tuple(tracks),
            verdict=judge(tracks, "1", moves),
            trees=tuple(place.tree for place in places),
            releases=story.releases,
            filesystems=len({os.stat(place.live).st_dev for place in places}),
            began=began,
            ended=ended,
        )


class _Story:
    def __init__(self, console: Console, work: Path, places: tuple[Place, ...]) -> None:
        self._work = work
        self._places = places
        live = {f"MYSITE_{place.tree.upper()}": str(place.live) for place in places}
        self._shell = Shell(console, work, live)
        self._upload = places[-1].live / "uploads" / "photo.txt"
        self._has_django = importlib.util.find_spec("django") is not None
        self.releases: dict[str, str] = {}

    def begin(self) -> None:
        """The live site as it was before treeswap: three plain directories, in one of them what a visitor left."""
        self._shell.say("A Django site is live in three plain directories, and from now on is read all the time.")
        example.make(self._work / "new")
        example.stamp(self._work / "new", "1")
        for place in self._places:
            shutil.copytree(place.source, place.live)
        self._upload.parent.mkdir()
        self._upload.write_text("a visitor's photo\n")
        self._shell.run("ls", "-ld", *(self._short(place.live) for place in self._places))
        if not self._has_django:
            self._shell.say("Django is not installed, so its page is not asked for: pip install 'treeswap[demo]'.")
        self._ask(PYTHON, f"{self._short(self._places[1].live)}/manage.py", "versions")

    def take(self, step: Step) -> Move:
        """Does it, and sees to it that what is current then is what should be."""
        verb, *options = step.label.split()
        if verb == "copy":
            example.stamp(self._work / "new", step.version)
            shared = ["--shared", "static/uploads/"] if options else []
            pairs = [f"{self._short(place.source)}:{self._short(place.live)}" for place in self._places]
            words = [verb, *options, *shared, *pairs]
        else:
            words = [verb, self.releases[step.version]] if verb == "switch" else [verb]
        started = time.monotonic()
        self._shell.run("treeswap", *words)
        ended = time.monotonic()
        if not self.releases:
            self._shell.export("TREESWAP_SITE", self._short(self._places[0].live))
            self.releases["1"] = self._shell.answer("releases")["releases"][-1]["id"]
        current = str(self._shell.answer("status")["current"])
        if self.releases.setdefault(step.version, current) != current:
            raise Failed(f"after this {verb} release {current} is current, which is not version {step.version}")
        if step.asks:
            self._ask("treeswap", "exec", "--", "sh", "-c", f'{PYTHON} "$TREESWAP_RELEASE/conf/manage.py" versions')
        return Move(step.label, step.version, current, started, ended)

    def end(self) -> None:
        self._shell.run("treeswap", "releases")

    def _ask(self, *command: str) -> None:
        """Has a new process make the site's page, which fails if its three versions differ."""
        if self._has_django:
            self._shell.run(*command)
        if not self._upload.is_file():
            raise Failed(f"{self._upload} is gone")

    def _short(self, path: Path) -> str:
        """As a person in the work directory would write it."""
        return str(path.relative_to(self._work) if path.is_relative_to(self._work) else path)


@contextmanager
def _directories() -> Iterator[tuple[Path, Path]]:
    """A work directory and one on another filesystem, or the same again where there is none at hand. Both are gone
    afterwards, and no signal stops that."""
    made: list[Path] = []
    try:
        made.append(Path(tempfile.mkdtemp(prefix="treeswap-demo-")).resolve())
        if _is_another_filesystem(_OTHER_FILESYSTEM, made[0]):
            made.append(Path(tempfile.mkdtemp(prefix="treeswap-demo-", dir=_OTHER_FILESYSTEM)))
        yield made[0], made[-1]
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for directory in made:
                shutil.rmtree(directory)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_another_filesystem(directory: Path, than: Path) -> bool:
    return (
        directory.is_dir() and os.access(directory, os.W_OK | os.X_OK) and directory.stat().st_dev != than.stat().st_dev
    )
