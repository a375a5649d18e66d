"""No content at all: what a tree begins with that only builds write to."""

from __future__ import annotations

from dataclasses import dataclass

from treeswap.scan import Excluded


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty directory that does not exist."""

    excluded: Excluded | None = None

    def open(self) -> None:
        return None

    def __str__(self) -> str:
        return "nothing"
