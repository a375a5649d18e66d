"""A directory as a new version is to have it, told by how it differs from the base's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from treeswap.manifest import Directory, Entry, entry_of


@dataclass(slots=True)
class Wanted:
    """A directory's own entry, and what is to be directly in it, other directories left out.

    `before` is what the base has there. `unlike` are the lines of those that do not stay as they are, by name;
    `entries` those that are new or take the place of one of them.
    """

    entry: Entry
    before: Directory | None = None
    entries: dict[bytes, Entry] = field(default_factory=dict)
    unlike: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def kept(self) -> Directory | None:
        """The base's directory, if nothing in it changes."""
        return None if self.entries or self.unlike else self.before

    @property
    def staying(self) -> int:
        """How many are as they are in the base."""
        return (self.before.files if self.before else 0) - len(self.unlike)

    @property
    def gone(self) -> int:
        """How many the base has there that are wanted no more."""
        return len(self.unlike.keys() - self.entries.keys())

    def stays(self) -> dict[bytes, bytes]:
        """The lines of those that are as they are in the base, by name."""
        lines = self.before.by_name() if self.before else {}
        for name in self.unlike:
            del lines[name]
        return lines

    def names(self) -> Iterable[bytes]:
        """Of all that is wanted."""
        return (*self.stays(), *self.entries)

    def put(self, name: bytes, entry: Entry, there: bytes | None) -> None:
        """One that is not as in the base, where `there` is its line, if it has one."""
        self.entries[name] = entry
        if there is not None:
            self.unlike[name] = there

    def was(self, name: bytes) -> Entry | None:
        """What the base has under the name of one of `entries`."""
        line = self.unlike.get(name)
        return None if line is None else entry_of(line)
