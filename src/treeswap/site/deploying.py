"""A deploy on one host, from a request to a current release: the parts of the story that `Site.deploy` tells."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from treeswap import durable, lease, stage, switch
from treeswap.errors import DestinationRefused, Interrupted, LaterStepFailed, Overtaken, TreeswapError
from treeswap.layout import lies_in
from treeswap.manifest import Manifest
from treeswap.outcomes import Event, FileCounts, Outcome
from treeswap.release import Record, ReleaseId, Tree, Version

from . import (
    adopting,
    built,
    checking,
    commanding,
    failing,
    homes,
    migrating,
    pruning,
    sharing,
    sign,
    straying,
    swinging,
    tending,
)
from .building import Building
from .core import Core, failure
from .recycling import Recycling
from .request import Request
from .work import Work


class Deploy:
    """One deploy under way; a context manager that takes away whatever was not sealed, and SITE if it was made for
    nothing. A failure of one that is `answered` is followed by the site's `on_failure` commands."""

    def __init__(self, core: Core, request: Request, doing: str, *, answered: bool = False) -> None:
        self._core, self._request, self._doing, self._answered = core, request, doing, answered
        self._stack = ExitStack()
        self._made: list[Path] = []
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._seconds: dict[str, float] = {}
        self._counts = FileCounts()
        self._versions: dict[str, Version] = {}
        self._manifests: dict[str, Manifest] = {}
        self._record: Record | None = None
        self._switched_at: datetime | None = None
        self._before: ReleaseId | None = None
        self._homes: list[Path] = []
        self._adopted_id: ReleaseId | None = None
        self._settled = False
        self._failed = False
        self._migrations: migrating.Migrations | None = None
        self._recycling = Recycling(core)
        self._last_seal: int | None = None
        self._building: Building
        self._lease: int
        self._work: Work
        self._id: ReleaseId
        self._barrier: durable.Barrier

    def __enter__(self) -> Deploy:
        try:
            self._enter_locked()
        except BaseException as error:
            self._close()
            self._answer(error)
            raise
        return self

    def _answer(self, error: BaseException | None) -> None:
        """Runs what is to run after a failure, when everything is cleared away."""
        if self._answered and isinstance(error, TreeswapError | OSError):
            failing.after(self._core, self._request, error, getattr(self, "_id", None))

    def _enter_locked(self) -> None:
        core, looked = self._core, False
        while True:
            if not core.exists:
                # What is refused for a site that is not there yet leaves nothing behind, not even its directory.
                with self._step("check"):
                    self._look()
                looked = True
            try:
                if not core.exists:
                    core.make(self._work.site, self._made)
                self._notes += self._stack.enter_context(core.changing(self._doing))
                break
            except FileNotFoundError:
                # Another first deploy failed meanwhile, and took SITE away with its locks.
                core.load()
                if core.exists:
                    raise
        self._stack.callback(self._unmake)
        if not core.exists:
            if not looked:
                self._look()
            core.make(self._work.site, self._made)  # the other one may have taken a part only

    def _look(self) -> None:
        self._work = checking.look(self._core, self._request)
        checking.agree(self._core, self._work)
        if self._doing != "adopt":
            checking.check_moved(self._work)
        checking.check_space(self._core, self._work)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._failed = kind is not None
        told: BaseException | None = error
        if self._migrations and isinstance(error, TreeswapError | Interrupted | OSError):
            told = failure(error) if isinstance(error, OSError) else error
            told.migrated = tuple(self._migrations.ran)
        try:
            self._close()
        except (TreeswapError, OSError) as worse:
            if told is None:
                raise
            # Why it failed at first is what is to be told.
            note = f"not everything could be cleared away: {worse}; the next change tries again"
            self._core.tell("clear", note=note, warning=True)
        self._answer(told)
        if told is not error and told is not None:
            raise told from error

    def _close(self) -> None:
        self._stack.close()
        if not self._made or os.path.lexists(self._core.layout.site_json):
            return
        # What held the names of open locks is free of them now. What another first deploy may be filling is left alone.
        root = self._core.root
        homes.remove_empty(p for p in self._made if durable.is_temporary(p.name) or lies_in(root, p))
        # It was made, and the lock in it was not had. Whoever has it needs all that was made.
        with suppress(TreeswapError, OSError), self._core.alone(self._doing):
            self._unmake()

    # ------------------------------------------------------------ 1 check

    def check(self) -> bool:
        """Whether there is anything to do. Everything that can be refused beforehand is refused here."""
        with self._step("check"):
            core = self._core
            if core.exists:  # another one was looked at before it was made
                self._look()
            if not self._request.leave_strays:
                straying.check_strays(core, self._work.leaving(), self._work.site.trees, self._work.sealed())
            self._before = self._work.current.id if self._work.current else None
            self._warn_of_maintenance()
            return self._work.changes

    def _warn_of_maintenance(self) -> None:
        """A deploy takes the page down only if it has put it up."""
        if mark := sign.now(self._core):
            since = f"{mark.since:%Y-%m-%d %H:%M:%S} UTC"
            self._warnings.append(f"the site is in maintenance since {since}: {mark.why}; to end it: {migrating.OFF}")

    @property
    def adopts(self) -> bool:
        return bool(self._work.adopting)

    # ------------------------------------------------------------ 2 stage

    def stage(self) -> None:
        """Makes each new version at its final path, and its manifest. The id is journalled before anything has it for a
        name."""
        core, work = self._core, self._work
        with self._step("stage"):
            self._begin()
            self._stack.callback(self._recycling.finish)
            with core.switching(self._doing):
                ids = core.reserve(2 if work.adopting else 1)
                self._recycling.choose([work.site.trees[name] for name in work.new if name not in work.written])
            self._adopted_id = ids[0] if work.adopting else None
            self._id = ids[-1]
            self._lease = lease.make(core.layout, self._id)
            self._stack.callback(os.close, self._lease)
            self._stack.callback(self._discard_stage)
            rooms = [core.layout.versions(tree) for tree in work.site.trees.values() if self._makes_room(tree)]
            self._barrier = self._stack.enter_context(durable.Barrier([core.root, *rooms]))
            self._last_seal = checking.newest_seal(core)
            self._building = Building(core, work, self._id)
            self._building.choose()
            held = self._recycling.take(self._id, self._doing)
            for name in work.new:
                self._place(work.site.trees[name], held.get(name))

    def _begin(self) -> None:
        """From here on something has to be taken away again if this deploy fails."""
        core, work = self._core, self._work
        self._stack.callback(self._discard_homes)
        if work.site != work.before or not core.exists:
            # Before anything is made: what is left in a trees_dir by a dead process is found by way of site.json.
            core.write_site(work.site)
        for tree in work.site.trees.values():
            if self._makes_room(tree):
                homes.prepare(core, tree, self._homes)
        if work.adopting:
            adopting.probe(core, work.adopting, allow_gap=self._request.allow_gap)

    def _makes_room(self, tree: Tree) -> bool:
        return tree in self._work.adopting or tree.name in self._work.new

    def _place(self, tree: Tree, held: Manifest | None) -> None:
        work = self._work.trees[tree.name]
        manifest, counts = stage.place(
            work,
            self._core.layout.versions(tree) / self._id,
            now=self._core.clock(),
            last_seal_ns=self._last_seal,
            held=held,
            listener=self._core.listener,
        )
        if tree.name not in self._work.written:
            written = self._core.ground.records.write_manifest(tree.name, self._id, manifest)
            self._versions[tree.name] = built.version_of(tree, self._id, manifest, written)
        self._manifests[tree.name] = manifest
        self._counts += counts

    # ------------------------------------------------------------ 3 build

    def build(self) -> bool:
        """Runs the builds in the stage. Whether there is still anything to do: a tree that came out as it is in the
        current release keeps its version."""
        work = self._work
        if not work.building:
            return True
        with self._step("build"):
            self._stack.callback(self._drop_links)
            self._building.run(self._lease)
            for name in work.written:
                version = self._building.take(name, self._manifests[name], self._last_seal)
                if version is not None:
                    self._versions[name] = version
        forced = self._request.force or work.current is None
        return bool(work.new or work.adopting or work.other_processes or forced)

    def _drop_links(self) -> None:
        if not self._settled:
            swinging.drop_unused_links(self._core)

    # ------------------------------------------------------------ 4 seal

    def seal(self) -> Record:
        """Makes the stage durable and complete: from here on it is a release."""
        core, work = self._core, self._work
        with self._step("seal"):
            self._prepare_shared()
            record = self._sealed_record()
            switch.make_release(core.layout, record)
            self._barrier.sync()
            core.ground.records.write(record)
            self._record = record
            for name in work.new:
                homes.save_cache(core, name, work.trees[name], self._manifests[name])
        return record

    def _sealed_record(self) -> Record:
        work = self._work
        versions = {**work.kept(), **self._versions}
        settings = work.site.settings
        same = not work.new and not work.adopting and not work.other_processes
        repeats = work.current.stands_for if work.current and same else None
        return Record(
            id=self._id,
            versions={name: versions[name] for name in work.site.trees if name in versions},
            sealed_at=self._core.clock(),
            by=self._core.by,
            label=self._request.label,
            revision=self._request.revision,
            repeats=repeats,
            run=self._id,
            adopts=self._adopted_id,
            built_by=work.built_by if work.building else work.current.built_by if work.current else None,
            processes=settings.processes,
            process_manager=self._core.manager(settings.process_manager).name if settings.processes else None,
        )

    def _prepare_shared(self) -> None:
        """Copies out what the current release has in itself, and makes the shared directories that are missing.

        What a live directory has is moved out when it is adopted, not copied.
        """
        core, work = self._core, self._work
        coming = sharing.coming(core, work)
        if sharing.missing(coming):
            with core.switching(self._doing):
                sharing.announce(core, coming)
        self._bring(coming, sealing=True)
        for name in work.request.trees:
            tree = work.site.trees[name]
            for shared in tree.shared:
                if shared.endswith("/") and shared not in work.moved.get(name, []):
                    homes.make_shared(core, tree, shared, like=self._shown_by(name))

    def _bring(self, coming: Sequence[sharing.Coming], *, sealing: bool) -> None:
        leave_behind = self._request.leave_strays
        for note in sharing.bring(self._core, coming, leave_behind=leave_behind, sealing=sealing):
            self._note(note)

    def _shown_by(self, name: str) -> Path:
        """The directory whose owner and mode a shared directory of this tree gets."""
        work, layout = self._work, self._core.layout
        tree = work.site.trees[name]
        if name in work.new:
            return layout.versions(tree) / self._id
        if work.current is not None and name in work.current.versions:
            return layout.version(work.current.versions[name])
        assert tree.path is not None
        return tree.path

    # ------------------------------------------------------------ 5 prepare

    def prepare(self) -> None:
        """Runs the migrations, which the release that is still served has to tolerate; then starts the new release's
        processes, and waits until they are healthy."""
        core, record = self._core, self._record
        assert record is not None
        if not core.settings.migrate and not record.processes:
            return
        with self._step("prepare"):
            place = commanding.place_of(core, record, self._before, self._lease)
            self._migrations = migrating.Migrations(core, place, self._doing)
            self._migrations.run()
            if record.processes:
                self._stack.callback(self._end_processes)
                tending.prepare(core, record)

    def _end_processes(self) -> None:
        """Ends what was started for a switch that did not come. Where something resists, the release stays for it."""
        if self._settled or self._is_current():
            return
        from . import serving

        assert self._record is not None
        if left := serving.end(self._core, self._record):
            self._core.tell("prepare", note=f"{left}; the next change tries again", warning=True)
            self._settled = True

    # ------------------------------------------------------------ 6 switch

    def switch(self) -> None:
        """The live directories are adopted, then `current` moves by one rename."""
        core, work, record = self._core, self._work, self._record
        assert record is not None
        with self._step("switch"), core.switching(self._doing) as notes:
            self._notes += notes
            self._check_not_overtaken()
            if not self._request.leave_strays:
                straying.check_strays(core, work.leaving(), manifests=work.sealed())
            # What was written to the old place since the seal.
            coming = sharing.coming(core, work)
            sharing.announce(core, coming)
            self._bring(coming, sealing=False)
            if work.adopting:
                self._adopt(record.adopts)
            # One that only holds the maintenance page is not to be rolled back to.
            mark = sign.now(core)
            bad = [mark.release] if mark and mark.release else []
            self._switched_at = swinging.swing(core, record, "deploy", bad=bad)
            self._settled = True

    def adopt_only(self) -> Outcome:
        """Adopts without deploying: what the live directories hold is the current release then."""
        core = self._core
        with self._step("adopt"):
            self._begin()
            self._prepare_shared()
            with core.switching(self._doing) as notes:
                self._notes += notes
                self._check_not_overtaken()
                before = self._before
                try:
                    record = self._adopt(None)
                except (OSError, DestinationRefused) as error:
                    if not self._has_adopted():
                        raise
                    raise self._adopted_after_all(error) from error
        self._record, self._switched_at = record, record.sealed_at
        return replace(self.outcome(changed=True), previous=before)

    def _has_adopted(self) -> bool:
        """Whether a live directory is the site's now: also one that was adopted before another one resisted."""
        layout = self._core.layout
        return any(
            tree.path is not None and durable.leads_through(tree.path, layout.public_text(tree.name))
            for tree in self._work.adopting
        )

    def _adopted_after_all(self, error: OSError | DestinationRefused) -> LaterStepFailed:
        if isinstance(error, DestinationRefused):
            return LaterStepFailed(error.message, hint=error.hint, cause=error.cause)
        return LaterStepFailed(
            f"{self._core.ground.current()} is current, but its adoption could not be finished",
            hint="mend the disk; `treeswap recover` goes on with it",
            cause=error,
        )

    def _check_not_overtaken(self) -> None:
        now = self._core.ground.current()
        if now != self._before:
            raise Overtaken(
                f"current changed from {self._before or 'nothing'} to {now or 'nothing'} while this deploy ran",
                hint="deploy again, if it is still wanted",
            )

    def _adopt(self, reserved: ReleaseId | None) -> Record:
        adopted, notes = adopting.adopt(self._core, self._work.adopting, reserved, allow_gap=self._request.allow_gap)
        self._notes += notes
        self._before = adopted.id
        return adopted

    # ------------------------------------------------------------ 7 confirm, 8 retire

    def confirm(self) -> None:
        """Runs the site's `after_switch` commands, and sees that the new release is served: else `SwitchedBack`."""
        assert self._record is not None
        with self._step("confirm"):
            if seen := tending.conclude(self._core, self._record, self._before, goes_back=True):
                self._note(seen)

    def retire(self) -> Outcome:
        """Ends the old processes, and prunes. What fails here is a warning: the deploy is done."""
        with self._step("retire"):
            self._warnings += tending.retire(self._core)
            self._warnings += self._recycling.finish()
            self._warnings += pruning.after_a_deploy(self._core)
        return self.outcome(changed=True)

    # ------------------------------------------------------------ ends without a switch

    def nothing_to_do(self) -> Outcome:
        """Every tree equals the current release's: the public links are looked after, settings are remembered."""
        core, work = self._core, self._work
        with core.switching(self._doing):
            if work.site != work.before:
                core.write_site(work.site)
            # Those of trees, too, that have just come back with the content that they left with.
            for path in core.heal_public_links(work.current):
                self._note(f"made the missing public link {path} again")
            for name, tree in work.trees.items():
                # What came out of a build as it was may have been made of another source.
                if tree.base is not None and tree.unchanged:
                    homes.save_cache(core, name, tree, tree.base.manifest)
        return self.outcome(changed=False)

    def staged(self) -> Outcome:
        """Ends after the seal: the release is ready to be switched to."""
        self._warnings += self._recycling.finish()
        return self.outcome(changed=True)

    def outcome(self, *, changed: bool) -> Outcome:
        work = self._work
        there = self._record.versions if self._record else work.site.trees
        return Outcome(
            changed=changed,
            release=self._record.id if self._record else self._before,
            previous=self._before if changed else None,
            switched_at=self._switched_at,
            trees={name: "new" if name in work.new else "kept" for name in work.site.trees if name in there},
            files=self._counts,
            seconds=self._seconds,
            notes=tuple(self._notes),
            warnings=tuple(self._warnings),
        )

    # ------------------------------------------------------------ clean-up

    def keep(self) -> None:
        """The release stays, although it was not switched to."""
        self._settled = True

    def _discard_stage(self) -> None:
        """Takes the stage away again, unless it is settled: record first, then what only it names."""
        core, work = self._core, self._work
        if self._settled or self._is_current():
            return
        # Also where none is known of: one whose writing failed may be there all the same.
        core.ground.records.remove([self._id])
        if self._failed:
            failing.keep_log(core, self._id)
        versions = {name: core.layout.versions(work.site.trees[name]) / self._id for name in work.new}
        pruning.remove_files(core, self._id, versions)

    def _is_current(self) -> bool:
        try:
            return self._core.ground.current() == self._id
        except TreeswapError:
            return True

    def _discard_homes(self) -> None:
        """The site has the trees that it had, unless something of this deploy came to stay."""
        core, work = self._core, self._work
        if self._settled or self._has_adopted() or core.ground.journal.history().open is not None:
            return
        if not self._made and core.ground.site != work.before:
            core.write_site(work.before)
        homes.remove(core, self._homes, [name for name in work.site.trees if name not in work.before.trees])

    def _unmake(self) -> None:
        """A SITE that was made for this deploy, and has no release, goes again; the locks in it are still held."""
        ground = self._core.ground
        if self._made and not ground.records.ids() and ground.journal.history().open is None:
            if self._work.site.settings.processes:
                with suppress(TreeswapError):  # why the site goes is what is to be told
                    self._core.manager(self._work.site.settings.process_manager).remove()
            homes.unmake(self._core, self._made)

    # ------------------------------------------------------------ small parts

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._core.listener(Event(name))
        try:
            yield
        finally:
            self._seconds[name] = round(self._seconds.get(name, 0.0) + time.monotonic() - began, 6)

    def _note(self, note: str) -> None:
        self._notes.append(note)
        self._core.tell("note", note=note)
