"""What every deploy, and every adoption, is at first: an attempt, which may have to make SITE, and may fail."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from treeswap import durable
from treeswap.errors import TreeswapError
from treeswap.layout import lies_in
from treeswap.outcomes import Event
from treeswap.release import ReleaseId

from . import checking, failing, homes
from .core import Core
from .request import Request
from .work import Work


class Attempt:
    """One attempt to do what a request asks for, under `deploy.lock`; a context manager that takes SITE away again if
    it was made for nothing. A failure of one that is `answered` is followed by the site's `on_failure` commands.

    What is put on the stack is cleared away in the end, last come first, before the lock is released.
    """

    def __init__(self, core: Core, request: Request, doing: str, *, answered: bool = False) -> None:
        self._core, self._request, self._doing, self._answered = core, request, doing, answered
        self._stack = ExitStack()
        self._made: list[Path] = []
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._seconds: dict[str, float] = {}
        self._id: ReleaseId | None = None
        self._work: Work

    # ------------------------------------------------------------ beginning

    def __enter__(self) -> Self:
        try:
            self._enter_locked()
        except BaseException as error:
            self._close(None, None, None)
            self._answer(error)
            raise
        return self

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

    # ------------------------------------------------------------ ending

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told = self._told(error)
        try:
            self._close(kind, error, trace)
        except (TreeswapError, OSError) as worse:
            if told is None:
                raise
            # Why it failed at first is what is to be told.
            note = f"not everything could be cleared away: {worse}; the next change tries again"
            self._core.tell("clear", note=note, warning=True)
        self._answer(told)
        if told is not error and told is not None:
            raise told from error

    def _told(self, error: BaseException | None) -> BaseException | None:
        """The error that is told for this one."""
        return error

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if not self._made or os.path.lexists(self._core.layout.site_json):
            return
        # What held the names of open locks is free of them now. What another first deploy may be filling is left alone.
        root = self._core.root
        homes.remove_empty(p for p in self._made if durable.is_temporary(p.name) or lies_in(root, p))
        # It was made, and the lock in it was not had. Whoever has it needs all that was made.
        with suppress(TreeswapError, OSError), self._core.alone(self._doing):
            self._unmake()

    def _unmake(self) -> None:
        """A SITE that was made for this attempt, and has no release, goes again; the locks in it are still held."""
        ground = self._core.ground
        if self._made and not ground.records.ids() and ground.journal.history().open is None:
            if self._work.site.settings.processes:
                with suppress(TreeswapError):  # why the site goes is what is to be told
                    self._core.manager(self._work.site.settings.process_manager).remove()
            homes.unmake(self._core, self._made)

    def _answer(self, error: BaseException | None) -> None:
        """Runs what is to run after a failure, when everything is cleared away."""
        if self._answered and isinstance(error, TreeswapError | OSError):
            failing.after(self._core, self._request, error, self._id)

    # ------------------------------------------------------------ telling

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
