"""Filling the directories of a new version: hard links of what stayed as it was, copies of the rest."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from treeswap import durable
from treeswap.errors import SourceRefused
from treeswap.manifest import Directory, Entry, entry_of, joined, line_of
from treeswap.scan import Descent, NotReadable
from treeswap.scan.reading import Attributes, attributes_hash, open_file, read_attributes, words
from treeswap.scan.still import has_status

from .filecopy import copy_file, dress, file_entry, new_file
from .part import Part
from .plan import TreeWork
from .reuse import PRIVATE, Reuse
from .side import Side
from .times import Times

_Fresh = Mapping[bytes, tuple[Entry, Entry | None]]
_LINK_REFUSED = {errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOENT, errno.EACCES, errno.EOPNOTSUPP}


class Filling:
    """The source, the base and the new version, walked down side by side. `part` is what was made so far, `there` are
    the directories that need not be made."""

    def __init__(
        self,
        work: TreeWork,
        times: Times,
        reuse: Reuse,
        source: Side,
        base: Side,
        target: Descent,
    ) -> None:
        self.part = Part(dict(reuse.ready), linked=sum(directory.files for directory in reuse.ready.values()))
        self.there = set(reuse.held)
        self.work = work
        self._times = times
        self.reuse = reuse
        self._source = source
        self._base = base
        self.target = target
        self._base_directories = work.base.manifest.directories if work.base else {}

    def disinherit(self) -> None:
        """Frees the new directory, and so all that it will hold, of the group and ACLs that its parent hands down."""
        fd = self.target.fd
        os.fchown(fd, -1, os.getegid())
        os.fchmod(fd, PRIVATE)
        for name in ("system.posix_acl_default", "system.posix_acl_access"):
            with suppress(OSError):
                os.removexattr(fd, name)

    def enter(self, path: bytes) -> None:
        """Goes down into a directory, which is made if need be."""
        name = _name(path)
        refusal = self._source.enter(name)
        if refusal is not None and self.work.wanted[path].entry.origin == "source":
            raise self._changed(path, words(refusal)) from refusal
        self._base.enter(name)
        if path not in self.there:
            os.mkdir(name, PRIVATE, dir_fd=self.target.fd)
        self.target.enter(name)

    def leave(self, path: bytes) -> None:
        """Goes back up from this one."""
        try:
            self._source.leave()
        except OSError as error:
            raise self._changed(path, words(error)) from error
        self._base.leave()
        self.target.leave()

    def fill(self, path: bytes, counted: Callable[[], None]) -> None:
        """Makes the files and symlinks of the directory that this is in; `counted` is called after each."""
        if path in self.reuse.ready:
            return
        links, fresh = self.work.parts(path)
        stays = self._cleared(path, links)
        made, size = {}, 0
        for name, line in links.items():
            if name in stays or self._link(name, base := entry_of(line)):
                made[name] = line
                self.part.linked += 1
                counted()
            else:
                fresh[name] = (base, base)
        for name, (entry, before) in fresh.items():
            make = self._file if entry.kind == "f" else self._symlink
            entry = make(joined(path, name), name, entry, before)
            made[name] = line_of(name, entry)
            size += entry.size if entry.kind == "f" else 0
            self.part.copied += 1
            counted()
        self.part.placed[path] = self._made(path, made, fresh, size)

    def _made(self, path: bytes, made: dict[bytes, bytes], fresh: _Fresh, size: int) -> Directory:
        """The directory with these entries, of which the `fresh` files have this size together."""
        wanted = self.work.wanted[path]
        if wanted.before is None:
            return Directory.of_lines(wanted.entry, made, size)
        if not fresh and not wanted.unlike:
            return wanted.before
        gone = [entry_of(line) for line in wanted.unlike.values()]
        gone += [before for name, (_, before) in fresh.items() if before and name not in wanted.unlike]
        linked = wanted.before.bytes - sum(entry.size for entry in gone if entry.kind == "f")
        return Directory.of_lines(wanted.entry, made, linked + size)

    def _cleared(self, path: bytes, links: Mapping[bytes, bytes]) -> set[bytes]:
        """Takes away what this directory holds and should not; the names of what it holds already as it should."""
        if path not in self.reuse.held:
            return set()
        held = self.reuse.held[path].by_name()
        stays = {name for name, line in links.items() if held.get(name) == line}
        self.reuse.clear(self.target, path, held.keys() - stays)
        return stays

    def _link(self, name: bytes, sealed: Entry) -> bool:
        """A hard link of what the base has there, if that is still what was sealed and may be linked."""
        base_fd = self._base.fd
        if base_fd is None:
            return False
        try:
            status = os.stat(name, dir_fd=base_fd, follow_symlinks=False)
            if not has_status(status, sealed):
                return False
            durable.link(name, base_fd, name, self.target.fd)
        except OSError as error:
            if error.errno in _LINK_REFUSED:
                return False
            raise
        return True

    def _file(self, path: bytes, name: bytes, planned: Entry, base: Entry | None) -> Entry:
        if self._source.fd is None:
            raise self._changed(path, "its directory is gone")
        try:
            source_fd = open_file(name, self._source.fd)
            try:
                target_fd = new_file(name, self.target.fd, planned.mode | 0o600)
                try:
                    return self._filled(path, planned.origin, base, source_fd, target_fd)
                finally:
                    os.close(target_fd)
            finally:
                os.close(source_fd)
        except NotReadable as reason:
            raise self._changed(path, str(reason)) from reason

    def _filled(self, path: bytes, origin: str, base: Entry | None, source_fd: int, target_fd: int) -> Entry:
        read_at, content = copy_file(source_fd, target_fd)
        entry = file_entry(content, origin, as_root=self.work.as_root)
        above, _, name = path.rpartition(b"/")
        if above in self.work.learned:
            self.work.learned[above].learn(name, content.status, read_at, entry.content, entry.xattrs)
        return dress(
            target_fd,
            entry,
            content.attributes,
            atime_ns=content.status.st_atime_ns,
            mtime_ns=self._time_of(path, entry, base),
            what=lambda: self._what(path),
        )

    def _time_of(self, path: bytes, entry: Entry, base: Entry | None) -> int:
        return self._times.of_file(entry.mtime_ns, entry, base, touched=path in self.work.touched)

    def _what(self, path: bytes) -> str:
        return f"{os.fsdecode(path) or 'the directory'} of {self.work.tree.name}"

    def _symlink(self, path: bytes, name: bytes, entry: Entry, base: Entry | None) -> Entry:
        durable.symlink(entry.content, name, self.target.fd)
        if entry.uid is not None and entry.gid is not None:
            os.chown(name, entry.uid, entry.gid, dir_fd=self.target.fd, follow_symlinks=False)
        mtime_ns = self._time_of(path, entry, base)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=self.target.fd, follow_symlinks=False)
        status = os.stat(name, dir_fd=self.target.fd, follow_symlinks=False)
        return entry._replace(mtime_ns=status.st_mtime_ns)

    def finish(self, path: bytes) -> None:
        """Gives a directory what would be in the way, or would not last, while it is filled."""
        if path in self.reuse.ready:
            return
        planned = self.work.wanted[path].entry
        attributes: Attributes = ()
        if planned.xattrs and self._source.fd is not None:
            try:
                attributes = read_attributes(self._source.fd)
            except NotReadable as reason:
                raise self._changed(path, str(reason)) from reason
        entry = planned._replace(xattrs=attributes_hash(attributes))
        made, base = planned.origin == "shared", self._base_directories.get(path)
        mtime_ns = self._times.of_directory(
            self._times.deploy_ns if made else planned.mtime_ns,
            base.entry if base else None,
            touched=path in self.work.touched,
        )
        entry = dress(
            self.target.fd,
            entry,
            attributes,
            atime_ns=mtime_ns,
            mtime_ns=mtime_ns,
            what=lambda: self._what(path),
        )
        self.part.placed[path] = self.part.placed[path]._replace(entry=entry)

    def _changed(self, path: bytes, reason: str) -> SourceRefused:
        return SourceRefused(
            f"{os.fsdecode(path) or '.'} in {self.work.source} cannot be copied: {reason}",
            hint="try again when nothing writes to the source",
        )


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
