"""What a contender is: a way to put new versions of trees beside older ones, as its users would."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from .inputs import Input
from .launching import Commands, Run, run


class Contender:
    """One way, at work in a directory of its own, with releases numbered from 1 in `releases/`.

    `as_in_git`: it keeps what git keeps of a tree. `keeps_releases`: as many as asked for. `only_links`: a deploy takes
    the release before and nothing of the source. `slow`: it takes part in fewer rounds. `settling`: after so many
    deploys of one tree alone each costs the same.
    """

    name: ClassVar[str]
    as_in_git: ClassVar[bool] = False
    keeps_releases: ClassVar[bool] = True
    only_links: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    settling: ClassVar[int] = 0

    def __init__(self, place: Path, source: Input) -> None:
        self.place = place
        self.source = source
        self.count = 0
        (place / "releases").mkdir(parents=True)
        self.set_up()

    @classmethod
    def lacks(cls) -> str | None:
        """Why it cannot take part here; None if it can."""
        return None

    def set_up(self) -> None:
        """What is done once for a site, and takes no part in the times."""

    def ready(self) -> None:
        """What is done before a deploy, and takes no part in its time."""

    def commands(self, only: str | None) -> Commands:
        """Those of the next deploy, `count` being its number; `only` names the one tree that changed, if one did."""
        raise NotImplementedError

    def deploy(self, only: str | None = None) -> Run:
        self.count += 1
        return run(self.commands(only), cwd=self.place)

    def public(self, tree: str) -> Path:
        """Where what was deployed last can be seen."""
        return self.place / "releases" / str(self.count) / tree

    def before(self, tree: str) -> Path:
        """Where what was deployed before that can be seen."""
        return self.place / "releases" / str(self.count - 1) / tree

    def roll_back(self) -> Run | None:
        """Goes back to the release before; None if there is no such thing. Visitors would go through `current`."""
        current = self.place / "current"
        self._lead_to(self.count)
        link = ["ln", "-s", f"releases/{self.count - 1}", "current.new"]
        done = run([link, ["mv", "-T", "current.new", current]], cwd=self.place)
        assert current.resolve() == self.place / "releases" / str(self.count - 1)
        return done

    def switched_after(self, rollback: Run) -> float | None:  # noqa: ARG002
        """Seconds from the start of a rollback to its switch, where that is told."""
        return None

    def rolled_back(self, tree: str) -> Path:
        """Where what was rolled back to can be seen."""
        return self.place / "current" / tree

    def go_forward(self) -> None:
        """Undoes the rollback."""
        self._lead_to(self.count)

    def prune(self, keep: int) -> float | None:
        """Removes all releases but the newest; seconds, or None if there is nothing to do, or a deploy does it."""
        releases = [self.place / "releases" / str(number) for number in range(1, self.count - keep + 1)]
        doomed = [release for release in releases if release.exists()]
        return self.remove(doomed, keep) if doomed else None

    def remove(self, doomed: list[Path], keep: int) -> float:  # noqa: ARG002
        return run([["rm", "-rf", *doomed]]).seconds

    def leave(self) -> None:
        """Takes away everything that it made."""
        run([["rm", "-rf", self.place]])

    def _lead_to(self, number: int) -> None:
        link = self.place / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(f"releases/{number}")
