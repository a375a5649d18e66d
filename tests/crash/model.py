"""What a site is, as a value: no disk, no clock, no processes, nothing of treeswap. What may become of one is told in
`model_changes`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

Files = Mapping[str, bytes]
"""What is in a directory, by path. `uploads` itself, among them, is a link to the shared directory of the tree."""

SHARED = {"uploads": b""}
DANGLES = {"uploads": b"(a symlink that leads nowhere)"}


class Refused(Exception):
    """A change that must not happen: its exit code, and the name of its error for machines."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code} {why}")
        self.code, self.why = code, why


@dataclass(frozen=True, slots=True)
class Version:
    """One sealed content of a tree, named after the release that brought it."""

    tree: str
    id: str
    files: Files
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    id: str
    versions: Mapping[str, Version]
    kind: str = "deployed"
    label: str | None = None
    repeats: str | None = None
    adopts: str | None = None

    @property
    def stands_for(self) -> str:
        return self.repeats or self.id

    def version_ids(self, trees: Collection[str]) -> dict[str, str]:
        return {name: version.id for name, version in self.versions.items() if name in trees}


@dataclass(frozen=True, slots=True)
class Site:
    """`trees` says of each tree of the site whether its `uploads/` are shared. `served` are the releases that were
    current, in order; `left` those that ceased to be; `gone` the newest release of the time when a tree left the site.
    `live` are the plain directories where public paths are or will be, `links` the trees whose public path is a link.
    `strays` are by version, `uploads` what the shared directories hold; `copied`, of those that were copied from what
    was served, how many had been served then. Of two uploads, that with the higher number at its end is the newer."""

    exists: bool = False
    trees: Mapping[str, bool] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    current: str | None = None
    served: tuple[str, ...] = ()
    left: frozenset[str] = frozenset()
    bad: frozenset[str] = frozenset()
    keep: int = 5
    grace: float = 60
    hold: bool = False
    leased: tuple[str, ...] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, Files] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    strays: Mapping[tuple[str, str], Files] = field(default_factory=dict)
    uploads: Mapping[str, Files] = field(default_factory=dict)
    copied: Mapping[str, int] = field(default_factory=dict)

    # ------------------------------------------------------------ what one sees of it

    @property
    def now(self) -> Release | None:
        """The release that is being served."""
        return self.releases[self.current] if self.current else None

    def shows(self, tree: str) -> Files | None:
        """What a reader finds at a public path; None where it leads nowhere."""
        if tree in self.live:
            return self._spread(tree, self.live[tree])
        if tree not in self.links or self.now is None or tree not in self.now.versions:
            return None
        version = self.now.versions[tree]
        return self._spread(tree, {**version.files, **self.strays_in(version)})

    def _spread(self, tree: str, files: Files) -> Files:
        """With the shared directory's content where its link is."""
        if "uploads" not in files:
            return files
        own = {path: data for path, data in files.items() if path != "uploads"}
        if tree not in self.uploads:
            return {**own, **DANGLES}
        return {**own, **{f"uploads/{name}": data for name, data in self.uploads[tree].items()}}

    def strays_in(self, version: Version) -> Files:
        return self.strays.get((version.tree, version.id), {})

    def has_strays(self, version: Version, trees: Mapping[str, bool]) -> bool:
        """Whether files in a version came from no deploy. What is shared, or will be, is no stray."""
        shared = trees.get(version.tree, False)
        return any(not (shared and path.startswith("uploads/")) for path in self.strays_in(version))

    def not_shared(self, version: Version) -> tuple[Files, Files]:
        """The uploads that a version itself has, and the shared directory of the tree has not, by name: those that a
        switch copies there, and those that a person has to decide about."""
        tree, found = version.tree, {**version.files, **self.strays_in(version)}
        inside = {path.removeprefix("uploads/"): data for path, data in found.items() if path.startswith("uploads/")}
        outside = self.uploads.get(tree, {})
        different = {name: data for name, data in inside.items() if name in outside and outside[name] != data}
        newer = {name: data for name, data in different.items() if _number(data) > _number(outside[name])}
        missing = {name: data for name, data in inside.items() if name not in outside}
        if not self._is_unused(tree):
            return missing, newer
        return {**missing, **newer}, {name: data for name, data in different.items() if name not in newer}

    def _is_unused(self, tree: str) -> bool:
        """Whether a shared directory is a copy to which nobody has written: no release that leads to it was served."""
        if tree not in self.copied:
            return False
        since = self.served[self.copied[tree] :]
        served = [self.releases[id].versions.get(tree) for id in since if id in self.releases]
        return len(served) == len(since) and not any(version and "uploads" in version.files for version in served)

    def is_bad(self, release: Release) -> bool:
        return release.stands_for in self.bad

    @property
    def previous(self) -> str | None:
        """The release that was served before the current one, and still exists."""
        before = [id for id in self.served if id != self.current and id in self.releases]
        return before[-1] if before else None

    @property
    def rollback_to(self) -> Release | None:
        """The newest earlier release that was served, is not bad and has other versions."""
        now = self.now
        if now is None:
            return None
        mine = now.version_ids(self.trees)
        earlier = [
            release
            for release in self.releases.values()
            if release.id in self.served
            and release.stands_for < now.stands_for
            and not self.is_bad(release)
            and any(mine.get(tree, id) != id for tree, id in release.version_ids(self.trees).items())
        ]
        return max(earlier, key=lambda release: (release.stands_for, release.id), default=None)

    def state_of(self, release: Release) -> str:
        if release.id == self.current:
            return "current"
        if self.is_bad(release):
            return "bad"
        if release.id == self.previous:
            return "previous"
        return "adopted" if release.kind == "adopted" else "ready"

    def reasons(self, keep: int, grace: float, named: Collection[str] = ()) -> dict[str, str | None]:
        """Why each release stays; None for those that retention lets go."""
        served = [r for _, r in sorted(self.releases.items(), reverse=True) if r.id in self.served]
        good = [r.id for r in served if not self.is_bad(r) and r.kind != "adopted"][:keep]
        return {id: self._reason(release, good, keep, grace, named) for id, release in self.releases.items()}

    def _reason(
        self, release: Release, good: Sequence[str], keep: int, grace: float, named: Collection[str]
    ) -> str | None:
        if release.id == self.current:
            return "current"
        if release == self.rollback_to:
            return "a rollback would go to it"
        if release.id in self.leased:
            return "leased"
        if release.id in self.left and grace > 0:
            return f"left, grace {grace:g} s"
        if release.id in named:
            return None
        if release.kind == "adopted":
            return "adopted: goes only when named"
        if release.id in good:
            return f"one of the {keep} newest good"
        if release.id not in self.served and release.id > (self.current or ""):
            return "ready: never served, newer than current"
        return "strays" if self._keeps_strays(release) else None

    def _keeps_strays(self, release: Release) -> bool:
        """Whether it is the newest release that names a version with strays."""
        return any(
            (self.has_strays(version, self.trees) or any(self.not_shared(replace(version, files={}))))
            and not version.adopted
            and release.id == max(r.id for r in self.releases.values() if r.versions.get(tree) == version)
            for tree, version in release.versions.items()
        )

    def find(self, token: str) -> Release:
        """The release that an id, a unique prefix, `current`, `previous` or an unambiguous label names."""
        if token in ("current", "previous"):
            id = self.current if token == "current" else self.previous
            found = [self.releases[id]] if id else []
        elif token in self.releases:
            found = [self.releases[token]]
        else:
            found = [r for r in self.releases.values() if token == r.label or r.id.startswith(token)]
        if not found or (len(found) > 1 and {(r.label, r.stands_for) for r in found} != {(token, found[0].stands_for)}):
            raise Refused(2, "no-such-release")
        return max(found, key=lambda release: release.id)

    # ------------------------------------------------------------ what follows from the disk alone

    def settled(self) -> Site:
        """The link is the fact: what it names is being served."""
        if self.current is None or self.served[-1:] == (self.current,):
            return self
        left = (self.left | set(self.served[-1:])) - {self.current}
        return replace(self, served=(*self.served, self.current), left=left)


def _number(data: bytes) -> int:
    return int(data.rpartition(b" ")[2])
