"""SIGINT, SIGTERM and SIGHUP, around the one moment that matters.

Until the switch a signal ends the program by `Interrupted`, and whatever was staged clears itself on the way out. From
the event `switching` on a signal is only noted: what has begun is finished. `not-switched` says that the change did not
come about after all; a signal noted meanwhile is raised then.
"""

from __future__ import annotations

import signal
import sys
import time

from treeswap.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO = 2.0
"""Seconds within which a further signal is the same wish to end: a closed terminal sends several. It would only break
off the cleaning up. One that comes later is a person who does not want to wait for it."""

AGAIN = 0.01
"""Seconds after which a signal comes again that came where nothing can be raised."""


class Signals:
    def __init__(self) -> None:
        self.switching = False
        self.noted: int | None = None
        self._ended = False
        self._raised_at: float | None = None
        self._unraisable = sys.unraisablehook

    def install(self) -> None:
        """Takes over the signals that are not ignored already (nohup, a background job)."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._arrived)
        sys.unraisablehook = self._dropped

    def step(self, name: str) -> None:
        """Hears of a step of the story."""
        if name == "switching":
            self.switching = True
        elif name == "not-switched":
            self.switching = False
            if self.noted is not None:
                self._raise(self.noted)

    def end(self) -> None:
        """The answer is given: what comes now, while the interpreter ends, would be told as a traceback."""
        self._ended = True
        sys.unraisablehook = self._unraisable

    def _arrived(self, number: int, _frame: object) -> None:
        if self._ended:
            return
        if self.switching:
            self.noted = self.noted or number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        now = time.monotonic()
        if self._raised_at is None or now - self._raised_at > ECHO:
            self._raised_at = now
            raise Interrupted(number)

    def _dropped(self, told: sys.UnraisableHookArgs) -> None:
        """Python itself drops what is raised in a finaliser, or in a callback of an import: the wish to end, too."""
        if not isinstance(told.exc_value, Interrupted):
            self._unraisable(told)
            return
        number = told.exc_value.signal_number
        signal.signal(signal.SIGALRM, lambda *_: self._come_again(number))
        signal.setitimer(signal.ITIMER_REAL, AGAIN)

    def _come_again(self, number: int) -> None:
        self._raised_at = None
        self._arrived(number, None)
