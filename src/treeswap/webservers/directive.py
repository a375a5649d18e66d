"""What a line of a web server's configuration says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEEPEST = 30
"""Files that include each other end here."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of the configuration, or a section of it, whose lines are its `block`. A name in which the server sees no
    case is in lower case."""

    words: tuple[str, ...]
    file: Path
    line: int
    block: tuple[Directive, ...] | None = None

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"
