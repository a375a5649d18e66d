"""What one of two processes makes of a new version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from treeswap.cache import Learned
from treeswap.manifest import Directory


@dataclass(slots=True)
class Part:
    """What was made so far: the directories as they stand in the manifest, and how many files and symlinks were linked
    and copied. `learned` is what became known of the source meanwhile, from another process."""

    placed: dict[bytes, Directory] = field(default_factory=dict)
    linked: int = 0
    copied: int = 0
    learned: dict[bytes, Learned] = field(default_factory=dict)

    def learn(self, learned: Mapping[bytes, Learned]) -> None:
        """Takes what was learned here for whoever gets this, who has `before` already."""
        self.learned = {path: learned[path] for path in self.placed.keys() & learned.keys()}
        for one in self.learned.values():
            one.before = None

    def add(self, other: Part, learned: Mapping[bytes, Learned]) -> None:
        """Adds what another process made, and what it learned."""
        self.placed |= other.placed
        self.linked += other.linked
        self.copied += other.copied
        for path, one in other.learned.items():
            learned[path].add(one)


def parents(path: bytes) -> Iterator[bytes]:
    """The directories that one is in, up to the root."""
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def towards(paths: Collection[bytes], below: Mapping[bytes, Sequence[bytes]]) -> defaultdict[bytes, list[bytes]]:
    """What to enter, of each directory, to come from the root to these paths, and to all that is `below` them."""
    found: defaultdict[bytes, set[bytes]] = defaultdict(set)
    inside = list(paths)
    for path in inside:
        found[path].update(below.get(path, ()))
        inside += below.get(path, ())
    for path in paths:
        for above in parents(path):
            found[above].add(path)
            path = above
    return defaultdict(list, {path: sorted(entered) for path, entered in found.items()})
