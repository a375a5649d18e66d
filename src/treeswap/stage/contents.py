"""What a source contains, as a new version is to have it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from treeswap.aside import Aside
from treeswap.cache import Cache
from treeswap.errors import SourceRefused, listed
from treeswap.manifest import Entry, Manifest
from treeswap.outcomes import Listener, silent
from treeswap.scan import Source, every_other, half
from treeswap.scan.reading import words

from .reader import Found, Reader, is_as
from .wanted import Wanted


class Contents:
    """What one source contains, once `read` was called.

    `base` is an earlier version, `known` is what its cache tells of the source's files. The digest of a file that
    cannot be equal to the base's is left empty.
    """

    def __init__(
        self, source: Source, *, tree: str, base: Manifest | None, known: Cache, as_root: bool, listener: Listener
    ) -> None:
        self.found = Found()
        self._source = source
        self._tree = tree
        self._base = base.directories if base else {}
        self._known = known
        self._as_root = as_root
        self._listener = listener

    def read(self, links: Mapping[bytes, bytes]) -> None:
        """Reads everything. `links` are the symlinks that the tree has, whatever the source has in their places."""
        try:
            other = half(self._base) if self._base else self._every_other()
            if not other:
                self.found = self._reader(links, self._listener).read([b""])
            else:
                self._read_in_two(links, other)
        except OSError as error:
            raise SourceRefused(f"{self._source} changed while it was read", cause=words(error)) from error
        for path in sorted(links):
            self._put_link(path, links[path])

    def _every_other(self) -> frozenset[bytes]:
        root_fd = self._source.open()
        return frozenset() if root_fd is None else every_other(root_fd, self._source.excluded)

    def _read_in_two(self, links: Mapping[bytes, bytes], other: frozenset[bytes]) -> None:
        """Has another process read these directories meanwhile, as far as the source has them still."""

        def read_other() -> dict[bytes, Found]:
            reader, parts = self._reader(links, silent), {}
            for path in other:
                with suppress(OSError):
                    parts[path] = reader.read([path])
                    parts[path].untie()
            return parts

        reader = self._reader(links, self._listener)
        with Aside(read_other) as aside:
            self.found = reader.read([b""], other)
            parts = aside.result() or {}
        for path in self.found.put_off:
            if path in parts:
                parts[path].tie(self._base, self._known)
                self.found.add(parts[path])
            else:
                self.found.add(reader.read([path]))

    def _reader(self, links: Mapping[bytes, bytes], listener: Listener) -> Reader:
        return Reader(
            self._source,
            tree=self._tree,
            base=self._base,
            known=self._known,
            links=links,
            as_root=self._as_root,
            listener=listener,
        )

    def refuse(self) -> None:
        """Raises `SourceRefused` if something was found that cannot be released."""
        found = self.found
        unreadable = [f"{os.fsdecode(path) or '.'}: {found.unreadable[path]}" for path in sorted(found.unreadable)]
        others = [os.fsdecode(path) for path in sorted(found.others)]
        parts = []
        if unreadable:
            parts.append(f"{_so_many(unreadable)} in {self._source} cannot be read:\n{listed(unreadable)}")
        if others:
            parts.append(f"{_so_many(others)} in {self._source}: no file, directory or symlink\n{listed(others)}")
        if parts:
            raise SourceRefused("\n".join(parts), hint="leave out what is not to be released: --exclude PATTERN")

    # ---------------------------------------------------------------- links to shared paths

    def _put_link(self, path: bytes, text: bytes) -> None:
        """A link to a shared path, with the owner of what the source has there, else of the directory it is in."""
        above, _, name = path.rpartition(b"/")
        wanted = self._directory_for(path, above)
        entry = wanted.entry
        uid, gid = self.found.owners.get(path, (entry.uid, entry.gid)) if self._as_root else (None, None)
        link = Entry("l", 0o777, uid, gid, len(text), entry.mtime_ns, text, "", "shared")
        before = wanted.before.by_name().get(name) if wanted.before else None
        if before is None or not is_as(link, before):
            wanted.put(name, link, before)
        else:
            wanted.unlike.pop(name, None)

    def _directory_for(self, link: bytes, path: bytes) -> Wanted:
        """The directory that a link is in, made if the source has none."""
        missing = []
        while path and path not in self.found.directories:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        wanted = self.found.directories.get(path)
        if wanted is None or (missing and self._is_in_the_way(wanted, missing[-1])):
            what = os.fsdecode(missing[-1] if wanted and missing else path) or str(self._source)
            raise SourceRefused(f"the shared path {os.fsdecode(link)} cannot be made: {what} is no directory")
        for directory in reversed(missing):
            there = self._base.get(directory)
            made = wanted.entry._replace(mode=0o755, xattrs="", origin="shared")
            wanted = Wanted(made, there, unlike=there.by_name() if there else {})
            self.found.directories[directory] = wanted
        return wanted

    @staticmethod
    def _is_in_the_way(above: Wanted, path: bytes) -> bool:
        return path.rpartition(b"/")[2] in above.names()


def _so_many(names: list[str]) -> str:
    return "one path" if len(names) == 1 else f"{len(names)} paths"
