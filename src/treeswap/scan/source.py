"""The seam to where a tree's new content comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Excluded = Callable[[str, bool], bool]
"""Whether the path relative to the tree is left out; the second argument says that it is a directory."""


class Source(Protocol):
    """Something that a tree's content can be read from; its text names it in messages."""

    @property
    def excluded(self) -> Excluded | None: ...

    def open(self) -> int | None:
        """A descriptor of the directory that holds the content, for the caller to close; None where there is nothing.
        Raises `SourceRefused`."""
        ...

    def __str__(self) -> str: ...
