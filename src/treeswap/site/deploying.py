"""A deploy on one host, from a request to a current release: the parts of the story that `Site.deploy` tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from treeswap.errors import DestinationRefused, Interrupted, Overtaken, TreeswapError
from treeswap.outcomes import FileCounts, Outcome
from treeswap.release import Record, ReleaseId

from . import adopting, commanding, homes, migrating, pruning, sharing, sign, straying, swinging, tending
from .attempt import Attempt
from .core import Core, failure
from .recycling import Recycling
from .request import Request
from .staging import Stage


class Deploy(Attempt):
    """One deploy under way, step by step."""

    def __init__(self, core: Core, request: Request, doing: str, *, answered: bool = False) -> None:
        super().__init__(core, request, doing, answered=answered)
        self._homes: list[Path] = []
        self._stage: Stage | None = None
        self._recycling = Recycling(core)
        self._record: Record | None = None
        self._before: ReleaseId | None = None
        self._switched_at: datetime | None = None
        self._migrations: migrating.Migrations | None = None

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
        """Makes what changed, where nobody sees it."""
        with self._step("stage"):
            self._begin()
            self._reserve()
            self._staged.make(self._doing)

    def _reserve(self) -> None:
        """The id is journalled before anything has it for a name."""
        core, work = self._core, self._work
        self._stack.callback(self._recycling.finish)
        with core.switching(self._doing):
            ids = core.reserve(2 if work.adopting else 1)
            self._recycling.choose([work.site.trees[name] for name in work.new if name not in work.written])
        self._id, adopts = ids[-1], ids[0] if work.adopting else None
        self._stage = self._stack.enter_context(Stage(core, work, self._id, adopts, self._recycling))

    def _begin(self) -> None:
        """From here on something has to be taken away again if this deploy fails."""
        core, work = self._core, self._work
        self._stack.callback(self._discard_homes)
        if work.site != work.before or not core.exists:
            # Before anything is made: what is left in a trees_dir by a dead process is found by way of site.json.
            core.write_site(work.site)
        for tree in work.site.trees.values():
            if work.makes_room(tree):
                homes.prepare(core, tree, self._homes)
        if work.adopting:
            adopting.probe(core, work.adopting, allow_gap=self._request.allow_gap)

    # ------------------------------------------------------------ 3 build

    def build(self) -> bool:
        """Runs the builds in the stage. Whether there is still anything to do afterwards."""
        work = self._work
        if not work.building:
            return True
        with self._step("build"):
            self._staged.build()
        forced = self._request.force or work.current is None
        return bool(work.new or work.adopting or work.other_processes or forced)

    # ------------------------------------------------------------ 4 seal

    def seal(self) -> Record:
        """Makes the stage a release."""
        with self._step("seal"):
            self._prepare_shared()
            self._record = self._staged.seal(self._request)
        return self._record

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
        if self._stage is not None and name in work.new:
            return layout.versions(tree) / self._stage.id
        if work.current is not None and name in work.current.versions:
            return layout.version(work.current.versions[name])
        assert tree.path is not None
        return tree.path

    # ------------------------------------------------------------ 5 prepare

    def prepare(self) -> None:
        """Runs the migrations, which the release that is still served has to tolerate; then starts the new release's
        processes, and waits until they are healthy."""
        core, record = self._core, self._sealed
        if not core.settings.migrate and not record.processes:
            return
        with self._step("prepare"):
            place = commanding.place_of(core, record, self._before, self._staged.lease)
            self._migrations = migrating.Migrations(core, place, self._doing)
            self._migrations.run()
            if record.processes:
                self._stack.callback(self._end_processes)
                tending.prepare(core, record)

    def _end_processes(self) -> None:
        """Ends what was started for a switch that did not come. Where something resists, the release stays for it."""
        if not self._staged.is_to_go:
            return
        from . import serving

        if left := serving.end(self._core, self._sealed):
            self._core.tell("prepare", note=f"{left}; the next change tries again", warning=True)
            self._staged.stays = True

    # ------------------------------------------------------------ 6 switch

    def switch(self) -> None:
        """The live directories are adopted, then `current` moves by one rename."""
        core, work, record = self._core, self._work, self._sealed
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
            self._staged.stays = True

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
                    if not adopting.has_adopted(core, self._work.adopting):
                        raise
                    raise adopting.not_finished(core, error) from error
        self._record, self._switched_at = record, record.sealed_at
        return replace(self.outcome(changed=True), previous=before)

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
        with self._step("confirm"):
            if seen := tending.conclude(self._core, self._sealed, self._before, goes_back=True):
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

    def keep(self) -> None:
        """The release stays, although it was not switched to."""
        self._staged.stays = True

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
            files=self._stage.counts if self._stage else FileCounts(),
            seconds=self._seconds,
            notes=tuple(self._notes),
            warnings=tuple(self._warnings),
        )

    # ------------------------------------------------------------ clean-up

    def _discard_homes(self) -> None:
        """The site has the trees that it had, unless something of this deploy came to stay."""
        core, work = self._core, self._work
        stays = self._stage is not None and self._stage.stays
        if stays or adopting.has_adopted(core, work.adopting) or core.ground.journal.history().open is not None:
            return
        if not self._made and core.ground.site != work.before:
            core.write_site(work.before)
        homes.remove(core, self._homes, [name for name in work.site.trees if name not in work.before.trees])

    def _told(self, error: BaseException | None) -> BaseException | None:
        if not self._migrations or not isinstance(error, TreeswapError | Interrupted | OSError):
            return error
        told = failure(error) if isinstance(error, OSError) else error
        told.migrated = tuple(self._migrations.ran)
        return told

    # ------------------------------------------------------------ small parts

    @property
    def _staged(self) -> Stage:
        assert self._stage is not None, "nothing was staged"
        return self._stage

    @property
    def _sealed(self) -> Record:
        assert self._record is not None, "nothing was sealed"
        return self._record
