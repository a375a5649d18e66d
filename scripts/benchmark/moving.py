"""Ways to change three directories, each with a file that holds the number of its version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from .capistrano import Application
from .copying import TREESWAP, AtomicRsync
from .fetching import atomic_rsync
from .launching import Commands, run
from .versioning import bare_repository

TREES = ("apps", "conf", "media")
FILE = "version"


class Mover:
    """At work in `place`: content of version N is in `new/N`, visitors look into `public`."""

    name: ClassVar[str]
    slower: ClassVar[int] = 1

    def __init__(self, place: Path, switches: int) -> None:
        self.place = place
        self.public = place / "public"
        self.public.mkdir()
        self.set_up(switches)

    @classmethod
    def lacks(cls) -> str | None:
        return None

    def set_up(self, switches: int) -> None:
        """What is done once."""

    def new(self, number: int) -> Path:
        return self.place / "new" / str(number)

    def prepare(self, number: int) -> None:
        """Puts the content of a version aside, without a change for visitors."""
        for tree in TREES:
            (self.new(number) / tree).mkdir(parents=True)
            (self.new(number) / tree / FILE).write_text(f"{number}\n")

    def commands(self, number: int) -> Commands:
        """Those that change from the version before to this one."""
        raise NotImplementedError

    def switch(self, number: int) -> None:
        run(self.commands(number))

    def files(self) -> list[Path]:
        return [self.public / tree / FILE for tree in TREES]

    def leave(self) -> None:
        """Ends what it started."""


class Treeswap(Mover):
    name = "treeswap copy"

    def prepare(self, number: int) -> None:
        for tree in TREES:
            (self.place / "source" / tree).mkdir(parents=True, exist_ok=True)
            (self.place / "source" / tree / FILE).write_text(f"{number}\n")

    def commands(self, number: int) -> Commands:  # noqa: ARG002
        pairs = [f"{self.place / 'source' / tree}:{self.public / tree}" for tree in TREES]
        return [[TREESWAP, "copy", "--quiet", "--deploy-to", self.place / "site", *pairs]]


class _Script(Mover):
    """A line of shell for each directory, one after the other, as deploy scripts have it."""

    line: ClassVar[str]

    def commands(self, number: int) -> Commands:
        loop = f"set -e; for tree in {' '.join(TREES)}; do {self.line}; done"
        return [["sh", "-c", loop, "sh", self.new(number), self.public]]


class LinkForced(_Script):
    name = "ln -sfn, three times"
    line = 'ln -sfn "$1/$tree" "$2/$tree"'


class LinkMoved(_Script):
    name = "ln -s and mv -T, three times"
    line = 'ln -s "$1/$tree" "$2/$tree.new"; mv -T "$2/$tree.new" "$2/$tree"'


class RemoveMove(_Script):
    name = "rm -rf and mv, three times"
    line = 'rm -rf "$2/$tree"; mv "$1/$tree" "$2/$tree"'


class Atomic(Mover):
    name = "atomic-rsync, three times"
    slower = 4

    @classmethod
    def lacks(cls) -> str | None:
        return AtomicRsync.lacks()

    def set_up(self, switches: int) -> None:  # noqa: ARG002
        for tree in TREES:
            (self.public / f"{tree}-1").mkdir()
            (self.public / tree).symlink_to(f"{tree}-1")

    def commands(self, number: int) -> Commands:
        script = [sys.executable, atomic_rsync()]
        return [[*script, "-a", "--delete", f"{self.new(number) / tree}/", f"{self.public / tree}/"] for tree in TREES]


class Capistrano(Mover):
    """Its symlink step alone, of one application that holds the three directories: its way to change them at once."""

    name = "Capistrano, its symlink step"
    slower = 10

    @classmethod
    def lacks(cls) -> str | None:
        return Application.lacks()

    def set_up(self, switches: int) -> None:  # noqa: ARG002
        (self.place / "application").mkdir()
        repository = bare_repository(self.place / "repository")
        self.application = Application(self.place / "application", self.public, repository)

    def new(self, number: int) -> Path:
        return self.public / "releases" / str(number)

    def switch(self, number: int) -> None:
        self.application.cap("deploy:symlink:release", RELEASE=str(self.new(number)))

    def files(self) -> list[Path]:
        return [self.public / "current" / tree / FILE for tree in TREES]

    def leave(self) -> None:
        self.application.sshd.stop()


MOVERS: tuple[type[Mover], ...] = (Treeswap, LinkForced, LinkMoved, RemoveMove, Atomic, Capistrano)
