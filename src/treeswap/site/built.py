"""What a build has made of a stage: read, given its times, and compared with what is being served."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from treeswap import durable, scan
from treeswap.errors import Failed, listed
from treeswap.manifest import Entry, Manifest
from treeswap.outcomes import Listener
from treeswap.release import ReleaseId, Tree, Version
from treeswap.scan.survey import shared_links
from treeswap.stage import Times, copy


def survey(
    directory: Path,
    tree: Tree,
    writable: Iterable[str],
    sourced: Manifest,
    before: Manifest | None,
    *,
    shared_root: Path,
    now: datetime,
    last_seal_ns: int | None,
    listener: Listener,
) -> Manifest:
    """The manifest of a version that builds have written to, at these paths. `sourced` is what it held before them,
    `before` the version that is served. What a build made just as it was keeps its time, as everything does. `Failed`
    where it cannot be released.
    """
    _check_links(directory, tree, shared_root)
    for written in writable:
        _part_files(directory / written)
    found = _surveyed(directory, tree, shared_root, listener)
    times = Times.at(now, last_seal_ns, first=before is None)
    old = before.entries if before else {}
    entries = dict(found.entries)
    for path, entry in found.entries.items():
        if entry.origin == "build" and entry.kind != "d" and not _is_as_sourced(entry, sourced.entries.get(path)):
            wanted = times.of_file(entry.mtime_ns, entry, old.get(path), touched=False)
            if wanted != entry.mtime_ns:
                file = directory / os.fsdecode(path)
                os.utime(file, ns=(file.lstat().st_atime_ns, wanted), follow_symlinks=False)
                entries[path] = entry._replace(mtime_ns=file.lstat().st_mtime_ns)
    return Manifest.of({path: _with_origin(entry, sourced.entries.get(path)) for path, entry in entries.items()})


def version_of(tree: Tree, id: ReleaseId, manifest: Manifest, written: str) -> Version:
    """A version with this manifest, whose file's digest is `written`."""
    return Version(tree.name, id, manifest.digest, written, manifest.files, manifest.bytes, tree.trees_dir)


def _surveyed(directory: Path, tree: Tree, shared_root: Path, listener: Listener) -> Manifest:
    found = scan.survey(
        directory, shared=tree.shared, shared_root=shared_root, origin="build", tree=tree.name, listener=listener
    )
    if unfit := [os.fsdecode(path) for path, entry in found.entries.items() if entry.undigested]:
        raise Failed(
            f"the builds left in {tree.name} what cannot be released, or cannot be read:\n{listed(unfit)}",
            hint="sockets, fifos and devices have no place in a release",
        )
    return found


def _check_links(directory: Path, tree: Tree, shared_root: Path) -> None:
    for path, text in shared_links(tree.shared, shared_root).items():
        if not durable.leads_through(directory / os.fsdecode(path), os.fsdecode(text)):
            raise Failed(
                f"the builds replaced {os.fsdecode(path)} in {tree.name}, which is the link to a shared path",
                hint="let them write elsewhere, or take it out of the shared paths",
            )


def _part_files(directory: Path) -> None:
    """Gives each file that has several names an inode of its own for this one: package managers link what they install
    from their caches, and whoever writes there later would write here."""
    for here, _, files in os.walk(directory):
        for name in files:
            path = Path(here, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                temporary = path.parent / durable.temporary_name(name)
                copy(path, temporary)
                durable.rename_over(temporary, path)


def _is_as_sourced(entry: Entry, sourced: Entry | None) -> bool:
    return sourced is not None and entry.same_as(sourced) and entry.mtime_ns == sourced.mtime_ns


def _with_origin(entry: Entry, sourced: Entry | None) -> Entry:
    """What a build left as it was came from where it came from."""
    if sourced is not None and _is_as_sourced(entry, sourced):
        return entry._replace(origin=sourced.origin)
    return entry
