"""Where everything of a site is on disk; paths only, nothing is read or written.

SITE/current -> releases/ID             the one symlink
SITE/releases/ID/NAME                   a link to the version of that tree
SITE/trees/NAME/ID                      a version (or trees_dir/ID)
SITE/run/ID   SITE/shared/NAME/…   SITE/maintenance/page.html
SITE/.treeswap/…                        site.json, locks, journal, records, manifests, leases, logs, cache
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .release import ReleaseId, Tree, Version

PRIVATE = ".treeswap"
SOURCED = ".sourced"
FAILED = ".failed"
MARKER = ".treeswap-site"
"""The file in a trees_dir that holds the id of the site it belongs to."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of the site at `root` (absolute, resolved)."""

    root: Path

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    def release(self, id: ReleaseId) -> Path:
        return self.releases / id

    @property
    def trees(self) -> Path:
        return self.root / "trees"

    def versions(self, tree: Tree) -> Path:
        """The directory that holds the versions of a tree."""
        return tree.trees_dir or self.trees / tree.name

    def version(self, version: Version) -> Path:
        return (version.trees_dir or self.trees / version.tree) / version.id

    def version_link_text(self, version: Version) -> str:
        """What the link SITE/releases/ID/NAME reads."""
        return str(self.version(version)) if version.trees_dir else f"../../trees/{version.tree}/{version.id}"

    @property
    def runs(self) -> Path:
        return self.root / "run"

    def run(self, id: ReleaseId) -> Path:
        return self.runs / id

    @property
    def shared(self) -> Path:
        return self.root / "shared"

    def shared_of(self, tree: Tree) -> Path:
        """The one name under which links reach a tree's shared paths."""
        return self.shared / tree.name

    def public_text(self, name: str) -> str:
        """What the public path of the tree `name` reads."""
        return f"{self.root}/current/{name}"

    @property
    def private(self) -> Path:
        return self.root / PRIVATE

    @property
    def maintenance(self) -> Path:
        """What a web server serves while the site is in maintenance."""
        return self.root / "maintenance"

    @property
    def maintenance_page(self) -> Path:
        """It is there exactly while the site is in maintenance."""
        return self.maintenance / "page.html"

    @property
    def maintenance_mark(self) -> Path:
        return self.private / "maintenance.json"

    @property
    def site_json(self) -> Path:
        return self.private / "site.json"

    @property
    def deploy_lock(self) -> Path:
        return self.private / "deploy.lock"

    @property
    def switch_lock(self) -> Path:
        return self.private / "switch.lock"

    @property
    def hold(self) -> Path:
        return self.private / "hold.json"

    @property
    def journal(self) -> Path:
        return self.private / "journal.jsonl"

    @property
    def moving(self) -> Path:
        return self.private / "moving"

    @property
    def records(self) -> Path:
        return self.private / "records"

    def record(self, id: ReleaseId) -> Path:
        return self.records / f"{id}.json"

    @property
    def manifests(self) -> Path:
        return self.private / "manifests"

    def manifest(self, tree: str, id: ReleaseId) -> Path:
        return self.manifests / tree / id

    def sourced(self, tree: str, id: ReleaseId) -> Path:
        """The manifest of what a version held before a build wrote to it."""
        return self.manifests / tree / f"{id}{SOURCED}"

    @property
    def leases(self) -> Path:
        return self.private / "leases"

    def lease(self, id: ReleaseId) -> Path:
        return self.leases / id

    @property
    def logs(self) -> Path:
        return self.private / "logs"

    def log(self, id: ReleaseId) -> Path:
        return self.logs / id

    @property
    def supervisor(self) -> Path:
        return self.private / "supervisor"

    def failed_log(self, id: ReleaseId) -> Path:
        """The output of the commands of a deploy that came to nothing."""
        return self.logs / f"{id}{FAILED}"

    @property
    def cache(self) -> Path:
        return self.private / "cache"


def release_text(id: ReleaseId) -> str:
    """What the link SITE/current reads."""
    return f"releases/{id}"


def id_in(text: str) -> ReleaseId | None:
    """The release that a text of SITE/current names, or None where it is not one of ours."""
    head, _, last = text.rpartition("/")
    return ReleaseId(last) if head == "releases" and ReleaseId.valid(last) else None


def site_of_public_text(text: str) -> tuple[Path, str] | None:
    """SITE and the tree's name, if a link with this text could be a public path of a site."""
    path = Path(text)
    if path.is_absolute() and path.parent.name == "current":
        return path.parent.parent, path.name
    return None


def lies_in(path: Path, directory: Path) -> bool:
    """Whether one absolute path is the other or below it; text only."""
    return os.fspath(path) == os.fspath(directory) or directory in path.parents
