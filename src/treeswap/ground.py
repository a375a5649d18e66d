"""What the parts of one site share: its paths, its files, its clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from . import switch
from .history import History
from .journal import Journal
from .layout import Layout
from .records import Records
from .release import ReleaseId
from .sitefile import SiteFile


@dataclass(slots=True)
class Ground:
    """One site, as its files say it is. `site` is replaced when site.json is."""

    layout: Layout
    site: SiteFile
    records: Records
    journal: Journal
    clock: Callable[[], datetime]

    def current(self) -> ReleaseId | None:
        return switch.read_current(self.layout)

    def history(self) -> History:
        """The journal's history, corrected by the link."""
        history = self.journal.history()
        history.agree_with(self.current(), self.clock())
        return history
