"""The files that say which releases exist: their records, and the manifests of their versions.

A release exists exactly when its record does. Each file is replaced in one durable step; a damaged one is named, and
nothing is guessed from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import durable
from .envelope import (
    FORMAT,
    by_name,
    contents,
    contents_or_none,
    count_of,
    file_of,
    matching,
    maybe,
    object_of,
    path_of,
    path_text,
    tables_of,
    text_of,
    time_of,
    time_text,
    truth_of,
)
from .errors import Damaged
from .layout import Layout
from .process import Process
from .release import Record, ReleaseId, Version, tree_name

if TYPE_CHECKING:
    import hashlib

    from .manifest import Manifest

_ANEW = "restore it from a backup, or deploy with --force --leave-strays, which copies every file anew"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = re.compile(r"deployed|adopted")


class Records:
    """The records and manifests of one site."""

    def __init__(self, layout: Layout, *, manifest_mode: int = 0o600, directory_mode: int = 0o755) -> None:
        self._layout, self._manifest_mode, self._directory_mode = layout, manifest_mode, directory_mode

    def ids(self) -> list[ReleaseId]:
        try:
            names = sorted(path.name for path in self._layout.records.iterdir())
        except FileNotFoundError:
            return []
        return [ReleaseId(name[:-5]) for name in names if name.endswith(".json") and ReleaseId.valid(name[:-5])]

    def all(self) -> dict[ReleaseId, Record]:
        """Every record, oldest first. `Damaged` names one that cannot be read: what it names is not known, so nothing
        may be removed."""
        records, damaged = self.readable()
        for error in damaged.values():
            raise error
        return records

    def readable(self) -> tuple[dict[ReleaseId, Record], dict[ReleaseId, Damaged]]:
        """The records that can be read, oldest first; and what is wrong with the others, which must not stand between
        a person and these."""
        records, damaged = {}, {}
        for id in self.ids():
            try:
                if (record := self.find(id)) is not None:
                    records[id] = record
            except Damaged as error:
                damaged[id] = error
        return records, damaged

    def find(self, id: ReleaseId) -> Record | None:
        """The record of a release, or None where the release does not exist. `Damaged` where it cannot be read."""
        path = self._layout.record(id)
        what = f"the record {path}"
        hint = f"restore it from a backup, or give the release up: mv {path} {path}.damaged"
        try:
            data = contents_or_none(path)
        except OSError as error:
            raise Damaged(f"{what} cannot be read", hint=hint, cause=error)
        if data is None:
            return None

        def of_this_release(value: dict[str, Any]) -> Record:
            record = _record(value)
            if record.id != id:
                raise ValueError(f"it is the record of {record.id}")
            return record

        return object_of(data, of_this_release, what, hint)

    def write(self, record: Record) -> None:
        """Durable: from here on the release exists."""
        durable.replace_file(self._layout.record(record.id), _bytes(record), 0o644)

    def put_back(self, record: Record) -> None:
        """The release exists again, whose record was removed. Durable by the next `write` or `remove`: a power cut
        before them takes it away, whole."""
        durable.replace_file_whole(self._layout.record(record.id), _bytes(record), 0o644)

    def remove(self, ids: Iterable[ReleaseId]) -> None:
        """Durable: from here on the releases do not exist, and what only they name may be removed."""
        durable.remove_durably((self._layout.record(id) for id in ids), self._layout.records)

    def write_manifest(self, tree: str, id: ReleaseId, manifest: Manifest) -> str:
        """Gives the SHA-256 of the file. Not durable by itself: a `Barrier` must come before the record."""
        return self._write_manifest(self._layout.manifest(tree, id), manifest)

    def write_sourced(self, tree: str, id: ReleaseId, manifest: Manifest) -> str:
        """As `write_manifest`, of what a version holds before a build writes to it."""
        return self._write_manifest(self._layout.sourced(tree, id), manifest)

    def _write_manifest(self, path: Path, manifest: Manifest) -> str:
        durable.make_directory(path.parent, self._directory_mode)
        digest = _digest(b"")

        def pieces() -> Iterator[bytes]:
            for piece in manifest.pieces():
                digest.update(piece)
                yield piece

        durable.replace_file_loosely(path, pieces(), self._manifest_mode)
        return digest.hexdigest()

    def manifest(self, version: Version) -> Manifest:
        """The manifest of a version. `Damaged` names it, if it is not the one that was sealed, or is gone."""
        return self._manifest(self._layout.manifest(version.tree, version.id), version.manifest)

    def sourced(self, version: Version) -> Manifest:
        """The manifest of what a version held before a build wrote to it, if one did. `Damaged` as with `manifest`."""
        if version.sourced is None:
            return self.manifest(version)
        return self._manifest(self._layout.sourced(version.tree, version.id), version.sourced)

    def _manifest(self, path: Path, sealed: str) -> Manifest:
        what = f"the manifest {path}"
        try:
            data = contents(path)
        except FileNotFoundError as error:
            raise Damaged(f"{what} is missing", hint=_ANEW, cause=error)
        if _digest(data).hexdigest() != sealed:
            raise Damaged(f"{what} is damaged", hint=_ANEW, cause="it is not what the record says was sealed")
        from .manifest import Manifest

        return Manifest.load(data, what)


def _digest(data: bytes) -> hashlib._Hash:
    import hashlib  # not at the top: who reads no manifest never needs it, and it is slow to import

    return hashlib.sha256(data)


# ---------------------------------------------------------------- from JSON to values, and back


def _record(value: dict[str, Any]) -> Record:
    return Record(
        id=ReleaseId.parse(value["id"]),
        versions=by_name([_version(version) for version in tables_of(value["versions"])], lambda version: version.tree),
        sealed_at=time_of(value["sealed_at"]),
        kind=matching(_KINDS, value["kind"]),
        by=text_of(value["by"]),
        label=maybe(text_of, value["label"]),
        revision=maybe(text_of, value["revision"]),
        repeats=maybe(ReleaseId.parse, value["repeats"]),
        run=maybe(ReleaseId.parse, value["run"]),
        adopts=maybe(ReleaseId.parse, value["adopts"]),
        processes=tuple(
            by_name(map(Process.of_data, tables_of(value.get("processes", []))), lambda process: process.name).values()
        ),
        process_manager=maybe(text_of, value.get("process_manager")),
        built_by=maybe(lambda digest: matching(_SHA256, digest), value.get("built_by")),
    )


def _version(value: dict[str, Any]) -> Version:
    return Version(
        tree=tree_name(text_of(value["tree"])),
        id=ReleaseId.parse(value["id"]),
        digest=matching(_SHA256, value["digest"]),
        manifest=matching(_SHA256, value["manifest"]),
        files=count_of(value["files"]),
        bytes=count_of(value["bytes"]),
        trees_dir=path_of(value["trees_dir"]),
        adopted=truth_of(value["adopted"]),
        sourced=maybe(lambda digest: matching(_SHA256, digest), value.get("sourced")),
    )


def _bytes(record: Record) -> bytes:
    value = {
        **asdict(record),
        "format": FORMAT,
        "versions": [{**asdict(v), "trees_dir": path_text(v.trees_dir)} for v in record.versions.values()],
        "sealed_at": time_text(record.sealed_at),
    }
    return file_of(value, _record)
