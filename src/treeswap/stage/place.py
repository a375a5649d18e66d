"""Making a version at its final path: hard links of what stayed as it was, copies of the rest."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from treeswap import durable
from treeswap.errors import Failed, NoSpace, SourceRefused
from treeswap.manifest import Directory, Entry, Manifest, entry_of, joined, line_of
from treeswap.outcomes import Event, FileCounts, Listener, silent
from treeswap.scan import Descent, NotReadable, open_root
from treeswap.scan.reading import Attributes, attributes_hash, open_file, read_attributes, words
from treeswap.scan.still import has_status

from .filecopy import copy_file, dress, file_entry, new_file
from .plan import TreeWork
from .remove import remove
from .reuse import PRIVATE, Reuse, below
from .side import Side
from .times import Times

_REPORT_EVERY = 256
_LINK_REFUSED = {errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOENT, errno.EACCES, errno.EOPNOTSUPP}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def place(
    work: TreeWork,
    destination: Path,
    *,
    now: datetime,
    last_seal_ns: int | None,
    held: Manifest | None = None,
    listener: Listener = silent,
) -> tuple[Manifest, FileCounts]:
    """Makes the version that `work` describes at `destination`, where nothing may be; or what that version holds which
    has `held` for its manifest, was given up, and is nobody's any more: then only what differs is done.

    `now` is the time of the deploy, `last_seal_ns` when a version of this tree was last sealed. Whatever is raised,
    the destination is gone again: `SourceRefused` if the source changed or does not hold still, `NoSpace`, and `Failed`
    for the rest.
    """
    what = f"the new version of {work.tree.name}"
    if held is None:
        try:
            destination.mkdir(PRIVATE)
        except OSError as error:
            raise not_made(error, what, destination) from error
    try:
        times = Times((now - _EPOCH) // timedelta(microseconds=1) * 1000, last_seal_ns, first=work.base is None)
        with (
            Side(work.source.open()) as source,
            Side(_root_of_links(work)) as base,
            Descent(open_root(destination)) as target,
        ):
            return _Placing(work, times, Reuse(work, held, times), source, base, target, listener).run()
    except BaseException as error:
        with suppress(OSError, Failed):
            remove(destination)
        if isinstance(error, OSError):
            raise not_made(error, what, destination) from error
        raise


def not_made(error: OSError, what: str, destination: Path) -> Failed:
    """What to raise when the filesystem of `destination` does not take what is being made there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"make room on the filesystem of {destination.parent}"
        return NoSpace(f"there is no space left for {what}", hint=hint, cause=error)
    return Failed(f"{what} cannot be made at {destination}", cause=error)


class _Placing:
    """One making of a version: the source, the base and the new version are walked down side by side."""

    def __init__(
        self,
        work: TreeWork,
        times: Times,
        reuse: Reuse,
        source: Side,
        base: Side,
        target: Descent,
        listener: Listener,
    ) -> None:
        self._work = work
        self._times = times
        self._reuse = reuse
        self._source = source
        self._base = base
        self._target = target
        self._listener = listener
        self._base_directories = work.base.manifest.directories if work.base else {}
        self._below = below(reuse.entered)
        self._placed = dict(reuse.ready)
        self._counted = [sum(directory.files for directory in reuse.ready.values()), 0]  # linked, copied

    def run(self) -> tuple[Manifest, FileCounts]:
        if not self._reuse.held:
            self._disinherit()
        self._fill(b"")
        entered = [(b"", list(self._below[b""]))]
        while entered:
            path, directories = entered[-1]
            if directories:
                path = directories.pop()
                self._enter(path)
                self._fill(path)
                entered.append((path, list(self._below[path])))
            else:
                entered.pop()
                self._finish(path)
                if entered:
                    self._leave(path)
        self._tell()
        linked, copied = self._counted
        return Manifest(self._placed), FileCounts(linked, copied, self._work.counts.removed)

    def _disinherit(self) -> None:
        """Frees the new directory, and so all that it will hold, of the group and ACLs that its parent hands down."""
        fd = self._target.fd
        os.fchown(fd, -1, os.getegid())
        os.fchmod(fd, PRIVATE)
        for name in ("system.posix_acl_default", "system.posix_acl_access"):
            with suppress(OSError):
                os.removexattr(fd, name)

    def _enter(self, path: bytes) -> None:
        name = _name(path)
        refusal = self._source.enter(name)
        if refusal is not None and self._work.wanted[path].entry.origin == "source":
            raise self._changed(path, words(refusal)) from refusal
        self._base.enter(name)
        if path not in self._reuse.held:
            os.mkdir(name, PRIVATE, dir_fd=self._target.fd)
        self._target.enter(name)

    def _leave(self, path: bytes) -> None:
        try:
            self._source.leave()
        except OSError as error:
            raise self._changed(path, words(error)) from error
        self._base.leave()
        self._target.leave()

    def _fill(self, path: bytes) -> None:
        """Makes the files and symlinks of the directory that this is in."""
        if path in self._reuse.ready:
            return
        links, fresh = self._work.parts(path)
        stays = self._cleared(path, links)
        made, size = {}, 0
        for name, line in links.items():
            if name in stays or self._link(name, base := entry_of(line)):
                made[name] = line
                self._count(0)
            else:
                fresh[name] = (base, base)
        for name, (entry, before) in fresh.items():
            make = self._file if entry.kind == "f" else self._symlink
            entry = make(joined(path, name), name, entry, before)
            made[name] = line_of(name, entry)
            size += entry.size if entry.kind == "f" else 0
            self._count(1)
        self._placed[path] = self._made(path, made, fresh, size)

    def _made(self, path: bytes, made: dict[bytes, bytes], fresh: Collection[bytes], size: int) -> Directory:
        """The directory with these entries, of which the `fresh` files have this size together."""
        wanted = self._work.wanted[path]
        if wanted.before is None:
            return Directory.of_lines(wanted.entry, made, size)
        if not fresh and not wanted.unlike:
            return wanted.before
        linked = wanted.before.bytes - sum(
            entry.size
            for name, line in wanted.before.by_name().items()
            if (name in fresh or name not in made) and (entry := entry_of(line)).kind == "f"
        )
        return Directory.of_lines(wanted.entry, made, linked + size)

    def _cleared(self, path: bytes, links: Mapping[bytes, bytes]) -> set[bytes]:
        """Takes away what this directory holds and should not; the names of what it holds already as it should."""
        if path not in self._reuse.held:
            return set()
        held = self._reuse.held[path].by_name()
        stays = {name for name, _ in links.items() & held.items()}
        self._reuse.clear(self._target, path, held.keys() - stays)
        return stays

    def _count(self, copied: int) -> None:
        self._counted[copied] += 1
        if sum(self._counted) % _REPORT_EVERY == 0:
            self._tell()

    def _tell(self) -> None:
        counts = self._work.counts
        self._listener(Event("stage", self._work.tree.name, sum(self._counted), counts.linked + counts.copied))

    def _link(self, name: bytes, sealed: Entry) -> bool:
        """A hard link of what the base has there, if that is still what was sealed and may be linked."""
        base_fd = self._base.fd
        if base_fd is None:
            return False
        try:
            status = os.stat(name, dir_fd=base_fd, follow_symlinks=False)
            if not has_status(status, sealed):
                return False
            durable.link(name, base_fd, name, self._target.fd)
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
                target_fd = new_file(name, self._target.fd)
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
        entry = file_entry(content, origin, as_root=self._work.as_root)
        above, _, name = path.rpartition(b"/")
        if above in self._work.learned:
            self._work.learned[above].learn(name, content.status, read_at, entry.content, entry.xattrs)
        return dress(
            target_fd,
            entry,
            content.attributes,
            atime_ns=content.status.st_atime_ns,
            mtime_ns=self._time_of(path, entry, base),
            what=self._what(path),
        )

    def _time_of(self, path: bytes, entry: Entry, base: Entry | None) -> int:
        return self._times.of_file(entry.mtime_ns, entry, base, touched=path in self._work.touched)

    def _what(self, path: bytes) -> str:
        return f"{os.fsdecode(path) or 'the directory'} of {self._work.tree.name}"

    def _symlink(self, path: bytes, name: bytes, entry: Entry, base: Entry | None) -> Entry:
        durable.symlink(entry.content, name, self._target.fd)
        if entry.uid is not None and entry.gid is not None:
            os.chown(name, entry.uid, entry.gid, dir_fd=self._target.fd, follow_symlinks=False)
        mtime_ns = self._time_of(path, entry, base)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=self._target.fd, follow_symlinks=False)
        status = os.stat(name, dir_fd=self._target.fd, follow_symlinks=False)
        return entry._replace(mtime_ns=status.st_mtime_ns)

    def _finish(self, path: bytes) -> None:
        """Gives a directory what would be in the way, or would not last, while it is filled."""
        if path in self._reuse.ready:
            return
        planned = self._work.wanted[path].entry
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
            touched=path in self._work.touched,
        )
        entry = dress(self._target.fd, entry, attributes, atime_ns=mtime_ns, mtime_ns=mtime_ns, what=self._what(path))
        self._placed[path] = self._placed[path]._replace(entry=entry)

    def _changed(self, path: bytes, reason: str) -> SourceRefused:
        return SourceRefused(
            f"{os.fsdecode(path) or '.'} in {self._work.source} cannot be copied: {reason}",
            hint="try again when nothing writes to the source",
        )


def _root_of_links(work: TreeWork) -> int | None:
    """A descriptor of the version to link from; without it everything is copied."""
    if work.base and work.base.linkable:
        with suppress(OSError):
            return open_root(work.base.directory)
    return None


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
