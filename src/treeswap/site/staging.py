"""The release that a deploy makes: staged, built and sealed, and gone again if it did not come to stay."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType

from treeswap import durable, lease, stage, switch
from treeswap.errors import TreeswapError
from treeswap.manifest import Manifest
from treeswap.outcomes import FileCounts
from treeswap.release import Record, ReleaseId, Tree, Version

from . import built, checking, failing, homes, pruning, swinging
from .building import Building
from .core import Core
from .recycling import Recycling
from .request import Request
from .work import Work


class Stage:
    """The stage of one deploy, under `deploy.lock`; a context manager that takes away all that it made, also what was
    sealed, unless it `stays` or is current.

    `adopts` is the id of the release that will hold what live directories have, if any are adopted.
    """

    lease: int
    """A descriptor that holds the release."""

    def __init__(self, core: Core, work: Work, id: ReleaseId, adopts: ReleaseId | None, recycling: Recycling) -> None:
        self.id = id
        self._core, self._work, self._adopts, self._recycling = core, work, adopts, recycling
        self._stack = ExitStack()
        self._versions: dict[str, Version] = {}
        self._manifests: dict[str, Manifest] = {}
        self._last_seal: int | None = None
        self._building = Building(core, work, id)
        self._failed = False
        self._barrier: durable.Barrier
        self.counts = FileCounts()
        self.stays = False

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = kind is not None
        self._stack.close()

    @property
    def is_to_go(self) -> bool:
        """Whether it is to be taken away."""
        try:
            return not self.stays and self._core.ground.current() != self.id
        except TreeswapError:
            return False  # where nobody can say what is current, it may be this

    # ------------------------------------------------------------ 2 stage

    def make(self, doing: str) -> None:
        """Makes each new version at its final path, and its manifest."""
        core, work = self._core, self._work
        self.lease = lease.make(core.layout, self.id)
        self._stack.callback(os.close, self.lease)
        self._stack.callback(self._discard)
        rooms = [core.layout.versions(tree) for tree in work.site.trees.values() if work.makes_room(tree)]
        self._barrier = self._stack.enter_context(durable.Barrier([core.root, *rooms]))
        self._last_seal = checking.newest_seal(core)
        self._building.choose()
        held = self._recycling.take(self.id, doing)
        for name in work.new:
            self._place(work.site.trees[name], held.get(name))

    def _place(self, tree: Tree, held: Manifest | None) -> None:
        manifest, counts = stage.place(
            self._work.trees[tree.name],
            self._core.layout.versions(tree) / self.id,
            now=self._core.clock(),
            last_seal_ns=self._last_seal,
            held=held,
            listener=self._core.listener,
        )
        if tree.name not in self._work.written:
            written = self._core.ground.records.write_manifest(tree.name, self.id, manifest)
            self._versions[tree.name] = built.version_of(tree, self.id, manifest, written)
        self._manifests[tree.name] = manifest
        self.counts += counts

    # ------------------------------------------------------------ 3 build

    def build(self) -> None:
        """Runs the builds. A tree that came out as it is in the current release keeps its version."""
        self._stack.callback(self._drop_links)
        self._building.run(self.lease)
        for name in self._work.written:
            version = self._building.take(name, self._manifests[name], self._last_seal)
            if version is not None:
                self._versions[name] = version

    def _drop_links(self) -> None:
        if not self.stays:
            swinging.drop_unused_links(self._core)

    # ------------------------------------------------------------ 4 seal

    def seal(self, request: Request) -> Record:
        """Makes it durable and complete: from here on it is a release."""
        core, work = self._core, self._work
        record = self._record(request)
        switch.make_release(core.layout, record)
        self._barrier.sync()
        core.ground.records.write(record)
        for name in work.new:
            homes.save_cache(core, name, work.trees[name], self._manifests[name])
        return record

    def _record(self, request: Request) -> Record:
        work = self._work
        versions = {**work.kept(), **self._versions}
        settings = work.site.settings
        same = not work.new and not work.adopting and not work.other_processes
        repeats = work.current.stands_for if work.current and same else None
        return Record(
            id=self.id,
            versions={name: versions[name] for name in work.site.trees if name in versions},
            sealed_at=self._core.clock(),
            by=self._core.by,
            label=request.label,
            revision=request.revision,
            repeats=repeats,
            run=self.id,
            adopts=self._adopts,
            built_by=work.built_by if work.building else work.current.built_by if work.current else None,
            processes=settings.processes,
            process_manager=self._core.manager(settings.process_manager).name if settings.processes else None,
        )

    # ------------------------------------------------------------ the end

    def _discard(self) -> None:
        """Takes it away: record first, then what only it names."""
        core, work = self._core, self._work
        if not self.is_to_go:
            return
        # Also where none is known of: one whose writing failed may be there all the same.
        core.ground.records.remove([self.id])
        if self._failed:
            failing.keep_log(core, self.id)
        versions = {name: core.layout.versions(work.site.trees[name]) / self.id for name in work.new}
        pruning.remove_files(core, self.id, versions)
