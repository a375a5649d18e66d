"""The values of a site: Tree, Command, Settings, Version, ReleaseId, Record, Release. No disk is touched here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .errors import Damaged, UsageError
from .process import Process

RESERVED_NAMES = frozenset({"run", "REVISION"})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_ID = re.compile(r"[0-9]{14}")


class ReleaseId(str):
    """`YYYYMMDDHHMMSS` in UTC, or a number counted up from one: ids only grow, and text order is their order."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> ReleaseId:
        if not cls.valid(text):
            raise ValueError(f"not a release id: {text!r}")
        return cls(text)

    @staticmethod
    def valid(text: str) -> bool:
        return isinstance(text, str) and _ID.fullmatch(text) is not None

    @classmethod
    def next(cls, now: datetime, highest: ReleaseId | None) -> ReleaseId:
        """The larger of now and one more than `highest`, which a clock set back cannot undo."""
        here = int(now.astimezone(UTC).strftime("%Y%m%d%H%M%S"))
        id = f"{max(here, int(highest) + 1 if highest else 0):014d}"
        if not cls.valid(id):
            raise Damaged(
                f"there is no id after {highest}, which the site's journal or a record says was given out",
                hint="restore the journal from a backup",
            )
        return cls(id)


def tree_name(text: str) -> str:
    """`text`, if it may name a tree; `UsageError` otherwise."""
    if text in RESERVED_NAMES:
        raise UsageError(
            f"{text!r} is a reserved name and cannot name a tree", hint="choose another: copy NAME=SRC:DEST"
        )
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} cannot name a tree: letters, digits, '.', '_' and '-' only, at most 100",
            hint="choose a name: copy NAME=SRC:DEST",
        )
    return text


def inside(text: str) -> str:
    """`text`, if it is a path inside a tree, where one that ends in a slash is a directory; `ValueError` otherwise."""
    if any(part in ("", ".", "..") or "\0" in part for part in text.removesuffix("/").split("/")):
        raise ValueError(f"{text!r} is not a path inside the tree")
    return text


@dataclass(frozen=True, slots=True)
class Tree:
    """One directory tree of a site.

    `path` is its public path (absolute; None: it is served at SITE/current/NAME only), `trees_dir` where its versions
    are if that is not in SITE. `shared` holds paths relative to the tree; one that ends in `/` is a directory.
    `exclude` are gitignore patterns for the source, `touch` relative paths that get a fresh inode and time in every
    release, `ignore` names (fnmatch) that are no strays.
    """

    name: str
    path: Path | None = None
    trees_dir: Path | None = None
    shared: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    touch: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ("__pycache__",)


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command of the site's own, run in the release's version of `tree` (None: the site's first tree).

    `writes` are what a build may write to: trees, or paths in one (`media/css`); None: its own tree. One that is
    `local` runs in `directory`, where the configuration is, instead of on the host. An `exclusive` migration runs while
    the maintenance page is up. `timeout` is in seconds.
    """

    run: str
    tree: str | None = None
    writes: tuple[str, ...] | None = None
    exclusive: bool = False
    timeout: float | None = None
    local: bool = False
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a whole site. The only place where these defaults are written.

    `process_manager` is `auto`, `systemd`, `systemd-user` or `supervisor`. `confirm_url` is what is asked after a
    switch which release is served. For `keep_warm` seconds the processes of the release that was left last stay.
    `maintenance` is `auto`, where the page is put up for exclusive migrations, or `manual`.
    """

    keep_releases: int = 5
    grace: float = 60.0
    group: str | None = None
    after_switch: tuple[Command, ...] = ()
    processes: tuple[Process, ...] = ()
    process_manager: str = "auto"
    confirm_url: str | None = None
    keep_warm: float = 0.0
    build: tuple[Command, ...] = ()
    migrate: tuple[Command, ...] = ()
    on_failure: tuple[Command, ...] = ()
    maintenance: str = "auto"


@dataclass(frozen=True, slots=True)
class Version:
    """One sealed, never-changing content of one tree.

    `digest` (hex SHA-256) is that of the content, times aside; `manifest` that of the manifest file's bytes. `files`
    counts files and symlinks, `bytes` is the sum of the files' sizes. `trees_dir` is where the version is, if not in
    SITE. An `adopted` one is a directory that was live: it may have been written to since. `sourced` (None: no build
    wrote to it) is the SHA-256 of the manifest of what it held before the build.
    """

    tree: str
    id: ReleaseId
    digest: str
    manifest: str
    files: int
    bytes: int
    trees_dir: Path | None = None
    adopted: bool = False
    sourced: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What says that a release exists.

    `kind` is `deployed` or `adopted`. `repeats` names an older release whose versions this one has again. `run` is the
    release whose `run/ID` its own `run` leads to. `adopts` is an id reserved for a release of the live directories that
    are still to be adopted when this one is switched to. `processes` are run by the manager of that name. `built_by` is
    the digest of the build commands.
    """

    id: ReleaseId
    versions: Mapping[str, Version]
    sealed_at: datetime
    kind: str = "deployed"
    by: str = ""
    label: str | None = None
    revision: str | None = None
    repeats: ReleaseId | None = None
    run: ReleaseId | None = None
    adopts: ReleaseId | None = None
    processes: tuple[Process, ...] = ()
    process_manager: str | None = None
    built_by: str | None = None

    @property
    def stands_for(self) -> ReleaseId:
        """The release that this one counts as, for order and marks."""
        return self.repeats or self.id

    def same_versions(self, other: Record, trees: Mapping[str, Tree]) -> bool:
        """Whether both have the same version of each of these trees."""
        return all(self.version_id(name) == other.version_id(name) for name in trees)

    def version_id(self, tree: str) -> ReleaseId | None:
        version = self.versions.get(tree)
        return version.id if version else None


@dataclass(frozen=True, slots=True)
class Release:
    """A sealed release: `release["conf"]` is the real directory of its version of that tree."""

    record: Record
    root: Path
    dirs: Mapping[str, Path] = field(default_factory=dict)

    @property
    def id(self) -> ReleaseId:
        return self.record.id

    def __getitem__(self, tree: str) -> Path:
        return self.dirs[tree]
