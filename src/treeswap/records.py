"""The files that say what exists: site.json, the records of releases, the manifests of versions.

A release exists exactly when its record does. Each file is replaced in one durable step; a damaged one is named, and
nothing is guessed from it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import durable
from .envelope import (
    contents,
    contents_or_none,
    count_of,
    seal,
    table_of,
    text_of,
    texts_of,
    time_of,
    time_text,
    truth_of,
    unseal,
)
from .errors import Damaged, NewerFormat, NotASite, UsageError
from .layout import Layout
from .process import Process
from .release import Command, Record, ReleaseId, Settings, Tree, Version, inside, tree_name

if TYPE_CHECKING:
    import hashlib

    from .manifest import Manifest

_ANEW = "restore it from a backup, or deploy with --force --leave-strays, which copies every file anew"
_RESTORE = "restore it from a backup; the public paths serve what `current` names all the same"

FORMAT = 1
"""The format of a SITE that this program reads and writes."""


@dataclass(frozen=True, slots=True)
class SiteFile:
    """site.json: the site's identity, its trees with their public paths, and its settings."""

    id: str
    name: str
    trees: Mapping[str, Tree] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


def read_site(layout: Layout) -> SiteFile:
    """`NotASite`, `NewerFormat` or `Damaged` where there is none that can be used."""
    if (site := find_site(layout)) is None:
        raise NotASite(f"{layout.root} is not a site", hint="make one with `treeswap copy` or `treeswap init`")
    return site


def find_site(layout: Layout) -> SiteFile | None:
    """The same, or None where no site has been made yet."""
    try:
        data = contents_or_none(layout.site_json)
    except OSError as error:
        raise NotASite(f"{layout.root} cannot be read", cause=error)
    if data is None:
        return None
    what = f"the site's file {layout.site_json}"
    value = unseal(data, what, _RESTORE)
    try:
        _check_format(value, what)
        return _site(value)
    except _NONSENSE as error:
        raise _nonsense(what, error)


def write_site(layout: Layout, site: SiteFile) -> None:
    value = {
        "format": FORMAT,
        "id": site.id,
        "name": site.name,
        "trees": [
            {**asdict(tree), "path": _text(tree.path), "trees_dir": _text(tree.trees_dir)}
            for tree in site.trees.values()
        ],
        "settings": {**asdict(site.settings), **{list: _commands_told(site.settings, list) for list in _COMMANDS}},
    }
    durable.replace_file(layout.site_json, _readable(value, _site), 0o644)


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
        value = unseal(data, what, hint)
        try:
            _check_format(value, what)
            record = _record(value)
            if record.id != id:
                raise ValueError(f"it is the record of {record.id}")
        except _NONSENSE as error:
            raise _nonsense(what, error, hint)
        return record

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


# ---------------------------------------------------------------- from JSON to values

_NONSENSE = (KeyError, TypeError, ValueError, UsageError)
_SITE_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = re.compile(r"deployed|adopted")
_MAINTENANCE = re.compile(r"auto|manual")
_COMMANDS = ("build", "migrate", "after_switch", "on_failure")

T = TypeVar("T")


def _check_format(value: Mapping[str, Any], what: str) -> None:
    if count_of(value["format"]) > FORMAT:
        raise NewerFormat(
            f"{what} has format {value['format']}, and this treeswap knows {FORMAT}", hint="use a newer treeswap"
        )


def _readable(value: Mapping[str, Any], parse: Callable[[dict[str, Any]], object]) -> bytes:
    """The object as a file that can be read again. `UsageError` where it could not."""
    data = seal(value)
    try:
        parse(unseal(data, "this"))
    except _NONSENSE as error:
        raise UsageError("what was given cannot be kept in a file of the site", cause=error)
    return data


def _site(value: dict[str, Any]) -> SiteFile:
    trees = _by_name([_tree(tree) for tree in _list(value["trees"])], lambda tree: tree.name)
    settings = _settings(table_of(value["settings"]))
    return SiteFile(_matching(_SITE_ID, value["id"]), text_of(value["name"]), trees, settings)


def _tree(value: dict[str, Any]) -> Tree:
    shared, touch = ([inside(path) for path in texts_of(value[key])] for key in ("shared", "touch"))
    return Tree(
        tree_name(text_of(value["name"])),
        _path(value["path"]),
        _path(value["trees_dir"]),
        tuple(shared),
        texts_of(value["exclude"]),
        tuple(touch),
        texts_of(value["ignore"]),
    )


def _settings(value: dict[str, Any]) -> Settings:
    return Settings(
        keep_releases=count_of(value["keep_releases"]),
        grace=_seconds(value["grace"]),
        group=_maybe(text_of, value["group"]),
        **{list: tuple(_command(command) for command in _items(value.get(list, []))) for list in _COMMANDS},
        maintenance=_matching(_MAINTENANCE, value.get("maintenance", Settings().maintenance)),
        processes=_processes(value.get("processes", [])),
        process_manager=text_of(value.get("process_manager", "auto")),
        confirm_url=_maybe(text_of, value.get("confirm_url")),
        keep_warm=_seconds(value.get("keep_warm", 0)),
    )


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.80} are no seconds")
    return float(value)


def _processes(value: object) -> tuple[Process, ...]:
    return tuple(
        _by_name([Process.of_data(process) for process in _list(value)], lambda process: process.name).values()
    )


def _command(value: object) -> Command:
    """A text is a command of which nothing else is said."""
    if isinstance(value, str):
        return Command(text_of(value))
    table = table_of(value)
    return Command(
        text_of(table["run"]),
        _maybe(tree_name, table["tree"]),
        _maybe(texts_of, table["writes"]),
        truth_of(table["exclusive"]),
        _maybe(_seconds, table["timeout"]),
        truth_of(table["local"]),
        _path(table["directory"]),
    )


def _commands_told(settings: Settings, which: str) -> list[object]:
    commands: tuple[Command, ...] = getattr(settings, which)
    told = [{**asdict(command), "directory": _text(command.directory)} for command in commands]
    return [c.run if c == Command(c.run) else table for c, table in zip(commands, told, strict=True)]


def _record(value: dict[str, Any]) -> Record:
    return Record(
        id=ReleaseId.parse(value["id"]),
        versions=_by_name([_version(version) for version in _list(value["versions"])], lambda version: version.tree),
        sealed_at=time_of(value["sealed_at"]),
        kind=_matching(_KINDS, value["kind"]),
        by=text_of(value["by"]),
        label=_maybe(text_of, value["label"]),
        revision=_maybe(text_of, value["revision"]),
        repeats=_maybe(ReleaseId.parse, value["repeats"]),
        run=_maybe(ReleaseId.parse, value["run"]),
        adopts=_maybe(ReleaseId.parse, value["adopts"]),
        processes=_processes(value.get("processes", [])),
        process_manager=_maybe(text_of, value.get("process_manager")),
        built_by=_maybe(lambda digest: _matching(_SHA256, digest), value.get("built_by")),
    )


def _version(value: dict[str, Any]) -> Version:
    return Version(
        tree=tree_name(text_of(value["tree"])),
        id=ReleaseId.parse(value["id"]),
        digest=_matching(_SHA256, value["digest"]),
        manifest=_matching(_SHA256, value["manifest"]),
        files=count_of(value["files"]),
        bytes=count_of(value["bytes"]),
        trees_dir=_path(value["trees_dir"]),
        adopted=truth_of(value["adopted"]),
        sourced=_maybe(lambda digest: _matching(_SHA256, digest), value.get("sourced")),
    )


def _bytes(record: Record) -> bytes:
    value = {
        **asdict(record),
        "format": FORMAT,
        "versions": [{**asdict(v), "trees_dir": _text(v.trees_dir)} for v in record.versions.values()],
        "sealed_at": time_text(record.sealed_at),
    }
    return _readable(value, _record)


def _by_name(values: list[T], name: Callable[[T], str]) -> dict[str, T]:
    named = {name(value): value for value in values}
    if len(named) < len(values):
        raise ValueError("it names something twice")
    return named


def _list(value: object) -> list[dict[str, Any]]:
    return [table_of(item) for item in _items(value)]


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.80} is no list")
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    if not pattern.fullmatch(text := text_of(value)):
        raise ValueError(f"{text!r:.80} is not what belongs there")
    return text


def _maybe(parse: Callable[[Any], T], value: object) -> T | None:
    return None if value is None else parse(value)


def _path(value: object) -> Path | None:
    """An absolute path, without a way back up in it."""
    if value is None:
        return None
    text = text_of(value)
    if not os.path.isabs(text) or ".." in text.split("/"):
        raise ValueError(f"{text!r:.80} is no absolute path")
    return Path(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _nonsense(what: str, cause: object, hint: str = _RESTORE) -> Damaged:
    told = f"it has no {cause}" if isinstance(cause, KeyError) else cause
    return Damaged(f"{what} is damaged", hint=hint, cause=told)
