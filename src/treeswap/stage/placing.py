"""Making a version by one process or, where there is much to make, by two."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from treeswap.aside import Aside
from treeswap.manifest import Manifest
from treeswap.outcomes import Event, FileCounts, Listener, silent
from treeswap.scan import Descent, half_of, open_below

from .filling import Filling
from .part import Part, parents, towards
from .remove import remove_below
from .reuse import PRIVATE, below

_REPORT_EVERY = 256
_WORTH_IT = 512
"""How many new files take longer to be copied than another process takes to begin."""
_LINKED_MEANWHILE = 8
_BYTES_MEANWHILE = 128 * 1024
"""How many files are linked, and how many bytes are copied, in the time that a new file takes to be made."""


class Unfinished(Exception):
    """Half of a version that had been given up was made, and it is not known how far."""


class Placing:
    """One making of a version."""

    def __init__(self, filling: Filling, listener: Listener) -> None:
        self._filling = filling
        self._work = filling.work
        self._target = filling.target
        self._held = filling.reuse.held
        self._entered = filling.reuse.entered
        self._below = below(filling.reuse.entered)
        self._listener = listener
        self._ahead = 1

    def run(self) -> tuple[Manifest, FileCounts]:
        """Fills it, with all below. `Unfinished` if nobody knows what it holds now."""
        roots = half_of(self._weights(), _WORTH_IT)
        if not self._held:
            self._filling.disinherit()
        else:
            # In the places of others there may still be a file, which goes when the directory that it is in is filled.
            roots &= self._held.keys()
        if roots:
            self._make_in_two(roots)
        else:
            self._walk(self._below)
        self._tell()
        part = self._filling.part
        return Manifest(part.placed), FileCounts(part.linked, part.copied, self._work.counts.removed)

    def _weights(self) -> dict[bytes, int]:
        """How long each directory takes to be filled, in new files."""
        weights = {}
        for path in self._entered:
            wanted = self._work.wanted[path]
            size = sum(entry.size for entry in wanted.entries.values())
            weights[path] = len(wanted.entries) + wanted.staying // _LINKED_MEANWHILE + size // _BYTES_MEANWHILE
        return weights

    # ---------------------------------------------------------------- by two processes

    def _make_in_two(self, roots: Collection[bytes]) -> None:
        """Has another process make these directories, with all that is in them, meanwhile."""
        between = {above for path in roots for above in parents(path)}
        self._make_way(sorted({*between, *roots} - {b"", *self._held}))
        self._ahead = 2
        # The other process keeps this one's locks: nobody may take them before it has ended, too.
        with Aside(lambda: self._other_part(roots, between), keeps_descriptors=True) as aside:
            without = {path: [one for one in inside if one not in roots] for path, inside in self._below.items()}
            self._walk(without, unfinished=between)
            theirs = aside.result()
        if theirs is not None:
            self._filling.part.add(theirs, self._work.learned)
            self._walk(towards(between - {b""}, {}), unfilled=between)
        elif self._held:
            raise Unfinished
        else:
            self._clear(roots)
            self._walk(towards(roots, self._below), unfilled=between)

    def _other_part(self, roots: Collection[bytes], between: Collection[bytes]) -> Part:
        self._listener, self._filling.part = silent, Part()
        self._walk(towards(roots, self._below), unfilled=between, unfinished=between)
        self._filling.part.learn(self._work.learned)
        return self._filling.part

    def _make_way(self, paths: Iterable[bytes]) -> None:
        for path in paths:
            above, _, name = path.rpartition(b"/")
            fd = open_below(self._target.fd, above)
            try:
                os.mkdir(name, PRIVATE, dir_fd=fd)
            finally:
                os.close(fd)
            self._filling.there.add(path)

    def _clear(self, roots: Iterable[bytes]) -> None:
        """Takes away what the other process could not finish."""
        for path in roots:
            above, _, name = path.rpartition(b"/")
            with Descent(open_below(self._target.fd, above)) as way:
                remove_below(way, name, Path(os.fsdecode(path)))
            self._filling.there.discard(path)

    # ---------------------------------------------------------------- a directory

    def _walk(
        self,
        below: Mapping[bytes, Sequence[bytes]],
        *,
        unfilled: Collection[bytes] = (),
        unfinished: Collection[bytes] = (),
    ) -> None:
        """Fills and finishes the root and what is `below` it and each other, but for those told."""
        if b"" not in unfilled:
            self._filling.fill(b"", self._counted)
        entered = [(b"", list(below.get(b"", ())))]
        while entered:
            path, directories = entered[-1]
            if directories:
                path = directories.pop()
                self._filling.enter(path)
                if path not in unfilled:
                    self._filling.fill(path, self._counted)
                entered.append((path, list(below.get(path, ()))))
            else:
                entered.pop()
                if path not in unfinished:
                    self._filling.finish(path)
                if entered:
                    self._filling.leave(path)

    def _counted(self) -> None:
        if (self._filling.part.linked + self._filling.part.copied) % _REPORT_EVERY == 0:
            self._tell()

    def _tell(self) -> None:
        counts = self._work.counts
        whole, done = counts.linked + counts.copied, self._filling.part.linked + self._filling.part.copied
        self._listener(Event("stage", self._work.tree.name, min(done * self._ahead, whole), whole))
