"""The version that retention would remove next, as the place that a tree's new one is made in.

Little differs between the two, so that neither links have to be made for what stays nor to be removed for what went.
Whoever could still be in it would see the new release before it is switched to: where that cannot be ruled out, and
where the old version is not just what was sealed, the new one is made from nothing, and retention does what it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from treeswap import durable, occupants, scan
from treeswap.errors import Damaged, TreeswapError
from treeswap.manifest import Manifest
from treeswap.release import Record, ReleaseId, Tree, Version
from treeswap.retention import Policy

from . import pruning
from .core import Core


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A version with what makes sure of it: its manifest, and the inodes of its directories."""

    version: Version
    manifest: Manifest
    inodes: set[int]


class Recycling:
    """What one deploy takes from releases that have had their time. Under `deploy.lock`, from `choose` to `finish`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._current: ReleaseId | None = None
        self._records: dict[ReleaseId, Record] = {}
        self._chosen: dict[str, Version] = {}
        self._held: dict[ReleaseId, int] = {}
        self._removed: dict[ReleaseId, int] = {}
        self._manifests: dict[tuple[str, ReleaseId], Manifest] = {}

    def choose(self, trees: Iterable[Tree]) -> None:
        """Chooses a version for each of these trees, where there is one, and holds the leases of its releases. Under
        `switch.lock`."""
        core, keep = self._core, self._core.settings.keep_releases
        if keep == 1 or not occupants.sees_all():
            return
        try:
            decisions = pruning.decide(core, Policy(keep - 1, core.settings.grace), self._manifest)
            self._records = core.ground.records.all()
        except Damaged:
            return  # what a record that cannot be read names is not known
        self._current = core.ground.current()
        going = {decision.id for decision in decisions if not decision.keep}
        for tree in trees:
            if (version := self._newest_of(tree, going)) is not None:
                self._chosen[tree.name] = version
        self._held = pruning.take_leases(core, sorted(self._naming(self._chosen.values())))

    def _manifest(self, version: Version) -> Manifest:
        """Read once: retention asks for it before the version is looked at."""
        key = (version.tree, version.id)
        if key not in self._manifests:
            self._manifests[key] = self._core.ground.records.manifest(version)
        return self._manifests[key]

    def _newest_of(self, tree: Tree, going: set[ReleaseId]) -> Version | None:
        """The newest version of a tree that only releases which go name."""
        layout, damaged = self._core.layout, self._core.ground.journal.history().damaged
        versions = {
            id: record.versions[tree.name] for id, record in self._records.items() if tree.name in record.versions
        }
        kept = {version.id for id, version in versions.items() if id not in going}
        fit = [
            version
            for version in versions.values()
            if version.id not in kept
            and not version.adopted
            # What a build wrote to may have been written to by who knows whom, and so may what is linked with it.
            and version.sourced is None
            and (tree.name, version.id) not in damaged
            and layout.version(version).parent == layout.versions(tree)
        ]
        return max(fit, key=lambda version: version.id, default=None)

    def _naming(self, versions: Iterable[Version]) -> set[ReleaseId]:
        return {
            id for version in versions for id, r in self._records.items() if r.versions.get(version.tree) == version
        }

    def take(self, id: ReleaseId, doing: str) -> Mapping[str, Manifest]:
        """Gives the chosen versions that are just what was sealed this id, once the records that name them are gone;
        their manifests, by tree."""
        fit = {name: candidate for name, version in self._chosen.items() if (candidate := self._looked_at(version))}
        self._manifests.clear()
        if not fit:
            return {}
        with self._core.switching(doing):
            if self._core.ground.current() != self._current:
                return {}
            naming = self._naming(candidate.version for candidate in fit.values())
            self._core.ground.records.remove(naming)
            self._removed = {release: self._held.pop(release) for release in naming}
            if not self._moved(fit, id):
                for release in naming:
                    self._core.ground.records.put_back(self._records[release])
                    self._held[release] = self._removed.pop(release)
                return {}
            self._core.ground.journal.append("removed", ids=sorted(naming, reverse=True))
        return {name: candidate.manifest for name, candidate in fit.items()}

    def _looked_at(self, version: Version) -> _Candidate | None:
        if not self._naming([version]) <= self._held.keys():
            return None
        try:
            manifest = self._manifest(version)
        except TreeswapError:
            return None
        inodes = scan.as_sealed(self._core.layout.version(version), manifest)
        return None if inodes is None else _Candidate(version, manifest, inodes)

    def _moved(self, fit: Mapping[str, _Candidate], id: ReleaseId) -> bool:
        """Whether the versions have the new id now, with nobody in them. If not, they have their own again, durably:
        the records that follow name them."""
        moves = []
        for candidate in fit.values():
            here = self._core.layout.version(candidate.version)
            durable.rename_to_free(here, here.parent / id)
            moves.append((here, here.parent / id, candidate.inodes))
        if not any(occupants.is_held(there, inodes) for _, there, inodes in moves):
            return True
        for here, there, _ in moves:
            durable.rename_to_free(there, here)
            durable.fsync_directory(here.parent)
        return False

    def finish(self) -> list[str]:
        """Removes what else only the releases had from which versions were taken; gives warnings, and never fails."""
        try:
            return pruning.remove_all(self._core, self._records, self._removed) if self._removed else []
        except (TreeswapError, OSError) as error:
            return [f"what is left of old releases could not be removed: {error}"]
        finally:
            for fd in (*self._held.values(), *self._removed.values()):
                os.close(fd)
            self._held, self._removed = {}, {}
