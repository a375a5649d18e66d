"""Contenders that keep versions in a store and check them out: ostree, and git with a worktree for each release."""

from __future__ import annotations

import shutil
from pathlib import Path

from .contending import Contender
from .inputs import Input
from .launching import Commands, run


class Ostree(Contender):
    """A commit of all trees, then a checkout of hard links."""

    name = "ostree"
    slow = True

    @classmethod
    def lacks(cls) -> str | None:
        return None if shutil.which("ostree") else "ostree is not installed"

    def set_up(self) -> None:
        self.ostree = ["ostree", f"--repo={self.place / 'repo'}"]
        run([[*self.ostree, "init", "--mode=bare-user-only"]])

    def commands(self, only: str | None) -> Commands:  # noqa: ARG002
        commit = ["commit", "--branch=main", "--link-checkout-speedup", f"--tree=dir={self.source.root}"]
        return [
            [*self.ostree, *commit],
            [*self.ostree, "checkout", "-H", "-U", "main", self.place / "releases" / str(self.count)],
        ]

    def remove(self, doomed: list[Path], keep: int) -> float:
        return run([["rm", "-rf", *doomed], [*self.ostree, "prune", "--refs-only", f"--depth={keep - 1}"]]).seconds


class GitWorktree(Contender):
    """Everything added and committed, then a worktree of the commit."""

    name = "git worktree"
    as_in_git = True
    slow = True

    @classmethod
    def lacks(cls) -> str | None:
        return None if shutil.which("git") else "git is not installed"

    def set_up(self) -> None:
        self.git_dir = bare_repository(self.place / "repo")

    def commands(self, only: str | None) -> Commands:  # noqa: ARG002
        new = self.place / "releases" / str(self.count)
        return [
            *committing(self.git_dir, self.source),
            ["git", "--git-dir", self.git_dir, "worktree", "add", "--quiet", "--detach", new, "main"],
        ]

    def remove(self, doomed: list[Path], keep: int) -> float:  # noqa: ARG002
        git = ["git", "--git-dir", self.git_dir]
        return run([[*git, "worktree", "remove", "--force", path] for path in doomed]).seconds


def bare_repository(place: Path) -> Path:
    """An empty one that takes every file as it is, whatever .gitattributes among them say."""
    git = ["git", "--git-dir", place]
    run(
        [
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", f"--template={as_they_are(place)}", place],
            [*git, "config", "user.name", "bench"],
            [*git, "config", "user.email", "bench@localhost"],
            [*git, "config", "gc.auto", "0"],
        ]
    )
    return place


def committing(git_dir: Path, source: Input) -> Commands:
    git = ["git", "-C", source.root, "--git-dir", git_dir, "--work-tree", source.root]
    return [[*git, "add", "--all", "--force", "."], [*git, "commit", "--quiet", "--allow-empty", "-m", "a version"]]


def as_they_are(place: Path) -> Path:
    """A template for repositories, beside `place`: its attributes stand above those of .gitattributes."""
    template = place.with_name(f"{place.name}.template")
    (template / "info").mkdir(parents=True)
    unset = "-text -filter -ident -export-ignore -export-subst !eol !working-tree-encoding"
    (template / "info" / "attributes").write_text(f"* {unset}\n")
    return template


VERSIONING: tuple[type[Contender], ...] = (Ostree, GitWorktree)
