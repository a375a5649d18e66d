"""What a verb tells on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Progress: `step` is the story's word (check, stage, seal, adopt, switch, retire, verify …); `done` of `total`
    counts files where that is known. `note` is a sentence for a person; a `warning` is one that must be seen. `line` is
    one that a command of the site has printed."""

    step: str
    tree: str | None = None
    done: int = 0
    total: int | None = None
    note: str | None = None
    warning: bool = False
    line: str | None = None


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener of whoever does not listen."""
