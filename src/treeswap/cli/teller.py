"""What is told while something happens: on stderr, as lines, and as bars on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from . import report, words

if TYPE_CHECKING:
    from treeswap.outcomes import Event

    from .progress import Bars
    from .session import Flags

PATIENCE = 0.4
"""Seconds before bars appear: what is done sooner needs none."""


class Teller:
    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._bars: Bars | None = None
        self._started = time.monotonic()
        self._told: set[str] = set()

    def hear(self, event: Event) -> None:
        """Passes an event of the library on to the person."""
        if event.note and event.warning:
            self.warn(event.note)
        elif event.note:
            self.note(event.note)
        if self._flags.hushed:
            return
        if event.line is not None:
            if self._flags.verbose:
                self.tell(words.printable(f"  {event.line}"))
        elif event.total is not None and sys.stderr.isatty() and time.monotonic() - self._started > PATIENCE:
            self._draw(event)
        elif self._flags.verbose and event.total is None and not event.note:
            self.note(" ".join(filter(None, (event.step, event.tree))))

    def note(self, text: str) -> None:
        """A sentence that --quiet and --json leave out; the same one is not told twice."""
        if not self._flags.hushed and text not in self._told:
            self._told.add(text)
            self.tell(words.printable(text))

    def warn(self, text: str) -> None:
        """A sentence that must be seen; the same one is not told twice."""
        if text not in self._told:
            self._told.add(text)
            self.tell(report.paint("warning:", "yellow", report.has_colour(sys.stderr)) + " " + words.printable(text))

    def tell(self, text: str) -> None:
        if self._bars:
            self._bars.above(text)
        else:
            report.tell(text)

    def stop(self) -> None:
        """Takes the bars away."""
        if self._bars:
            self._bars.stop()
            self._bars = None

    def _draw(self, event: Event) -> None:
        if self._bars is None:
            from .progress import Bars

            self._bars = Bars()
        self._bars.show(event)
