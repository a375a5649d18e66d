"""Which times files bear in a new version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from treeswap.manifest import Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Times:
    """The rule for one version, in ns since the epoch.

    What did not change keeps the time that it was first released with, so that caches stay warm. What did must have
    another one than it had: an ETag is the time and the size in whole seconds. `last_seal_ns` is when a version was
    last sealed; `first` says that there was no version before.
    """

    now_ns: int
    last_seal_ns: int | None
    first: bool

    @classmethod
    def at(cls, now: datetime, last_seal_ns: int | None, *, first: bool) -> Times:
        return cls((now - _EPOCH) // timedelta(microseconds=1) * 1000, last_seal_ns, first)

    @property
    def deploy_ns(self) -> int:
        """The time of this deploy: now, but in a later second than all that was sealed."""
        if self.last_seal_ns is None:
            return self.now_ns
        return max(self.now_ns, (self.last_seal_ns // SECOND + 1) * SECOND)

    def of_file(self, source_ns: int, new: Entry, base: Entry | None, *, touched: bool) -> int:
        """The time of a file or symlink that is made anew. `base` is what the earlier version has there."""
        if touched:
            time_ns = self.deploy_ns
        elif base is not None and _content(new) == _content(base) and new[:5] == base[:5]:
            return base.mtime_ns
        elif self.first or self._is_after_seal(source_ns):
            time_ns = source_ns
        else:
            time_ns = self.deploy_ns
        if base is not None and _content(new) != _content(base):
            while (time_ns // SECOND, new.size) == (base.mtime_ns // SECOND, base.size):
                time_ns += SECOND
        return time_ns

    def of_directory(self, source_ns: int, base: Entry | None, *, touched: bool) -> int:
        if touched:
            return self.deploy_ns
        return base.mtime_ns if base is not None and base.kind == "d" else source_ns

    def _is_after_seal(self, time_ns: int) -> bool:
        seal_second = -1 if self.last_seal_ns is None else self.last_seal_ns // SECOND
        return time_ns // SECOND > seal_second and time_ns <= self.deploy_ns


def _content(entry: Entry) -> tuple[str, bytes]:
    return entry.kind, entry.content
