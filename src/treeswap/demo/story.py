"""The demonstration from beginning to end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from treeswap.errors import Failed

from . import example, front
from .grounds import Grounds, grounds
from .picture import Picture
from .readers import reading, visiting
from .shell import Shell
from .verdict import Move, judge

FIRST = "0"
"""The version that is live before treeswap."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that changes which version is served, and which one is after it. One that brings a version that `fails`
    switches back by itself."""

    label: str
    version: str
    fails: str | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """Those that are served, one after the other."""
        return (self.fails, self.version) if self.fails else (self.version,)


ARRIVAL = Step("deploy", "1")
"""The first one with processes: visitors come after it."""
STEPS = (
    Step("deploy", "2"),
    Step("deploy", "3"),
    Step("deploy", "4"),
    Step("deploy", "4", fails="5"),
    Step("deploy", "6"),
    Step("rollback", "4"),  # 5 is bad: it did not confirm
    Step("rollback", "3"),
    Step("deploy", "7"),
    Step("deploy", "8"),
    Step("deploy", "9"),
)


def play(console: Console, *, readers: int, visitors: int, pause: float) -> Picture:
    """Deploys and rolls back while that many visitors visit and readers read, with `pause` seconds between; prints each
    command and what it says. `Failed` if a command fails; `UsageError` where something is missing."""
    with grounds() as place:
        story = _Story(console, place)
        story.begin()
        with reading(place.places, readers) as read:
            began = time.monotonic()
            time.sleep(pause)
            story.adopt()
            time.sleep(pause)
            story.take(ARRIVAL)
            with story.front() as address, visiting(address, visitors) as visits:
                time.sleep(pause)
                for step in STEPS:
                    story.take(step)
                    time.sleep(pause)
                ended = time.monotonic()
        story.end()
        tracks = (*visits, *read)
        return Picture(
            tracks=tracks,
            verdict=judge(tracks, FIRST, story.moves),
            trees=tuple(tree.tree for tree in place.places),
            releases=story.releases,
            filesystems=len({os.stat(tree.live).st_dev for tree in place.places}),
            began=began,
            ended=ended,
        )


class _Story:
    """`releases` maps each version to the release that brought it."""

    def __init__(self, console: Console, place: Grounds) -> None:
        self._place = place
        self._shell = Shell(console, place.work)
        self._upload = place.places[-1].live / "uploads" / "photo.txt"
        self.releases: dict[str, str] = {}
        self.moves: list[Move] = []

    def begin(self) -> None:
        self._shell.say("A Django site is live in three plain directories, and from now on is read all the time.")
        self._place.make(FIRST)
        self._upload.parent.mkdir()
        self._upload.write_text("a visitor's photo\n")
        self._shell.run("ls", "-ld", *(self._short(tree.live) for tree in self._place.places))
        self._shell.run("cat", "treeswap.toml")

    def adopt(self) -> None:
        """The live directories become links, and what they hold a release: nothing changes for who reads them."""
        self._shell.run("treeswap", "adopt")
        self.releases[FIRST] = str(self._shell.answer("status")["current"])

    @contextmanager
    def front(self) -> Iterator[str]:
        """What visitors connect to while the block runs: nginx, or where there is none the site's process itself, by
        the path that a web server would take."""
        nginx = front.program()
        if nginx is None:
            self._shell.say(
                "Visitors come without a pause. nginx is not installed: they connect to SITE/current/run/web.sock, as"
                " it would, and Django has a route for static files."
            )
            yield str(self._place.socket)
            return
        port = front.free_port()
        self._shell.say("nginx comes before it, and visitors come without a pause.")
        words = ["treeswap", "webserver", "nginx", "--host", "127.0.0.1", "--port", str(port)]
        text = self._shell.kept(*words, file="nginx/site.conf")
        with front.serving(nginx, self._place.work / "nginx", text, port):
            # Only now is there somebody to ask after a switch.
            self._place.configure(f"http://127.0.0.1:{port}/up")
            yield str(port)

    def take(self, step: Step) -> None:
        """Does it, and sees to it that what is current then is what should be."""
        verb, *options = step.label.split()
        if verb == "deploy":
            if step.fails:
                self._shell.say("The next one is well until it is served.")
            example.stamp(self._place.work / "new", step.versions[0], fault=bool(step.fails))
        started = time.monotonic()
        self._shell.run("treeswap", verb, *options, exits=13 if step.fails else 0)
        ended = time.monotonic()
        if step.fails:
            self.releases[step.fails] = self._shell.answer("releases")["releases"][0]["id"]
        current = str(self._shell.answer("status")["current"])
        if self.releases.setdefault(step.version, current) != current:
            raise Failed(f"after this {verb} release {current} is current, which is not version {step.version}")
        if not self._upload.is_file():
            raise Failed(f"{self._upload} is gone")
        labels = ("deploy", "switched back") if step.fails else (step.label,)
        for label, version in zip(labels, step.versions, strict=True):
            self.moves.append(Move(label, version, self.releases[version], started, ended))

    def end(self) -> None:
        self._shell.run("treeswap", "releases")

    def _short(self, path: Path) -> str:
        """As a person in the work directory would write it."""
        return str(path.relative_to(self._place.work) if path.is_relative_to(self._place.work) else path)
