"""Migrations: run once for a release, before the switch to it, and never taken back by a rollback.

That one begins is journalled before it does, and what came of it after; so whoever goes back later is told what ran
since. While an exclusive one runs the maintenance page is up, unless it was up before: then it is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import zip_longest

from treeswap import lease, maintenance
from treeswap.errors import Failed, Interrupted, TreeswapError
from treeswap.outcomes import MaintenanceMark
from treeswap.release import Command, Record

from . import commanding, sign
from .commanding import Place
from .core import Core, failure

OFF = "treeswap maintenance off"


class Migrations:
    """Those of one release. `ran` are the commands that have run to their end."""

    def __init__(self, core: Core, place: Place, doing: str) -> None:
        self._core, self._place, self._doing = core, place, doing
        self._mark: MaintenanceMark | None = None
        self._failed = False
        self.ran: list[str] = []

    def run(self) -> None:
        """Runs all of them, in order. `Failed` if one fails: where the page is up for it, it stays. What goes wrong
        beside them takes it down again."""
        try:
            commands = self._core.settings.migrate
            for command, following in zip_longest(commands, commands[1:]):
                if command.exclusive and self._core.settings.maintenance == "auto":
                    self._put_up(command)
                self._run(command)
                if self._mark and not (following and following.exclusive):
                    self._take_down()
        except BaseException as error:
            if not self._failed:
                with suppress(TreeswapError, OSError):
                    self._take_down()
            told = failure(error) if isinstance(error, OSError) else error
            if isinstance(told, TreeswapError) and self._is_up():
                more = f"the maintenance page stays up until: {OFF}"
                told.hint = f"{told.hint}; {more}" if told.hint else more
            raise told

    def _run(self, command: Command) -> None:
        self._journal("migrating", command)
        try:
            commanding.run(self._core, "migrate", command, self._place)
        except BaseException as error:
            self._failed = True
            interrupted = f"`{command.run}` (migrate) was interrupted"
            self._leave_up(error.message if isinstance(error, Failed) else interrupted)
            with suppress(TreeswapError, OSError):
                self._journal("migrated", command, done=False)
            raise
        self.ran.append(command.run)
        self._journal("migrated", command, done=True)

    def _journal(self, event: str, command: Command, **details: bool) -> None:
        with self._core.switching(self._doing):
            self._core.ground.journal.append(event, release=self._place.id, command=command.run, **details)

    # ------------------------------------------------------------ the page

    def _put_up(self, command: Command) -> None:
        core = self._core
        with core.switching(self._doing):
            current, now = core.ground.current(), sign.now(core)
            if current is None or (now is not None and (self._mark is None or now.deploy != self._place.id)):
                return  # nobody is served yet, or it is somebody else's page
            why = f"`{command.run}` (migrate) runs for {self._place.id}"
            self._mark = MaintenanceMark(why, core.by, core.clock(), deploy=self._place.id)
            sign.put_up(core, self._mark)
        core.tell("migrate", note="the maintenance page is up")

    def _take_down(self) -> None:
        if self._mark is None:
            return
        core = self._core
        with core.switching(self._doing):
            if self._is_up():  # else somebody has taken it down meanwhile, or put up another
                sign.take_down(core, "no migration runs")
                core.tell("migrate", note="the maintenance page is down")
            self._mark = None

    def _is_up(self) -> bool:
        """Whether it is there, and ours."""
        now = sign.now(self._core)
        return self._mark is not None and now is not None and now.deploy == self._place.id

    def _leave_up(self, why: str) -> None:
        """Says in the mark why the page is still there."""
        if self._mark is not None:
            with suppress(OSError):
                maintenance.put_up(self._core.layout, replace(self._mark, why=why))


def is_due(core: Core, record: Record) -> bool:
    """Whether the migrations are to run before the switch to a release: it is newer than all that was served, and was
    staged only."""
    served = core.ground.history().served
    new = record.kind == "deployed" and record.repeats is None and all(record.id > id for id in served)
    return bool(core.settings.migrate) and new


@contextmanager
def before_switch(core: Core, token: str) -> Iterator[list[str]]:
    """Runs the migrations that are due before a switch to the release that was named, and holds `deploy.lock` then;
    gives those that ran. For all other switches nothing is waited for."""
    if not core.settings.migrate:
        yield []
        return
    with core.switching("switch"):
        record = core.find_release(token)
        due = is_due(core, record)
    if not due:
        yield []
        return
    with core.changing("switch") as notes:
        for note in notes:
            core.tell("recover", note=note)
        held = lease.share(core.layout, record.id)
        migrations = Migrations(core, commanding.place_of(core, record, core.ground.current(), held), "switch")
        try:
            migrations.run()
            yield migrations.ran
        except (TreeswapError, Interrupted, OSError) as error:
            told = failure(error) if isinstance(error, OSError) else error
            told.migrated = tuple(migrations.ran)
            raise told
        finally:
            if held is not None:
                lease.let_go(held)


def ran_since(core: Core, target: Record) -> tuple[str, ...]:
    """What who goes back to a release has to know: what was migrated for later ones is not taken back."""
    later = [m for m in core.ground.journal.history().migrations if m.release > target.stands_for]
    if not later:
        return ()
    told = ", ".join(f"`{m.command}`" + ("" if m.done else " (not to its end)") for m in later)
    return (f"migrations that ran since {target.stands_for}, and are not taken back: {told}",)
