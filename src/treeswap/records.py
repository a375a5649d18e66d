"""The files that say what exists: site.json, the records of releases, the manifests of versions.

A release exists exactly when its record does. Each file is replaced in one durable step; a damaged one is named, and
nothing is guessed from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import durable
from .envelope import seal, time_of, time_text, unseal
from .errors import Damaged, NewerFormat, NotASite
from .layout import Layout
from .release import Record, ReleaseId, Settings, Tree, Version

if TYPE_CHECKING:
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
    try:
        data = layout.site_json.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotASite(f"{layout.root} is not a site", hint="make one with `treeswap copy` or `treeswap init`")
    except OSError as error:
        raise NotASite(f"{layout.root} cannot be read", cause=error)
    what = f"the site's file {layout.site_json}"
    value = unseal(data, what, _RESTORE)
    try:
        _check_format(value, what)
        trees = {tree["name"]: _tree(tree) for tree in value["trees"]}
        settings = Settings(**{**value["settings"], "after_switch": tuple(value["settings"]["after_switch"])})
        return SiteFile(value["id"], value["name"], trees, settings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
        "settings": asdict(site.settings),
    }
    durable.replace_file(layout.site_json, seal(value), 0o644)


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
        """Every record, oldest first. `Damaged` names a bad one."""
        records = {}
        for id in self.ids():
            record = self.find(id)
            if record is not None:
                records[id] = record
        return records

    def find(self, id: ReleaseId) -> Record | None:
        """The record of a release, or None where the release does not exist."""
        path = self._layout.record(id)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        what = f"the record {path}"
        value = unseal(data, what, f"restore it from a backup, or give the release up: mv {path} {path}.damaged")
        try:
            _check_format(value, what)
            record = _record(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _nonsense(what, error)
        if record.id != id:
            raise _nonsense(what, f"it is the record of {record.id}")
        return record

    def write(self, record: Record) -> None:
        """Durable: from here on the release exists."""
        value = {
            **asdict(record),
            "format": FORMAT,
            "versions": [{**asdict(v), "trees_dir": _text(v.trees_dir)} for v in record.versions.values()],
            "sealed_at": time_text(record.sealed_at),
        }
        durable.replace_file(self._layout.record(record.id), seal(value), 0o644)

    def remove(self, ids: Iterable[ReleaseId]) -> None:
        """Durable: from here on the releases do not exist, and what only they name may be removed."""
        durable.remove_durably((self._layout.record(id) for id in ids), self._layout.records)

    def write_manifest(self, tree: str, id: ReleaseId, manifest: Manifest) -> str:
        """Durable; gives the SHA-256 of the file."""
        path = self._layout.manifest(tree, id)
        durable.make_directory(path.parent, self._directory_mode)
        data = manifest.dump()
        durable.replace_file(path, data, self._manifest_mode)
        durable.fsync_directory(path.parent.parent)
        return _sha256(data)

    def manifest(self, version: Version) -> Manifest:
        """The manifest of a version. `Damaged` names it, if it is not the one that was sealed, or is gone."""
        path = self._layout.manifest(version.tree, version.id)
        what = f"the manifest {path}"
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"{what} is missing", hint=_ANEW, cause=error)
        if _sha256(data) != version.manifest:
            raise Damaged(f"{what} is damaged", hint=_ANEW, cause="it is not what the record says was sealed")
        from .manifest import Manifest

        return Manifest.load(data, what)


def _sha256(data: bytes) -> str:
    import hashlib  # not at the top: who reads no manifest never needs it, and it is slow to import

    return hashlib.sha256(data).hexdigest()


def _check_format(value: Mapping[str, Any], what: str) -> None:
    if value["format"] > FORMAT:
        raise NewerFormat(
            f"{what} has format {value['format']}, and this treeswap knows {FORMAT}", hint="use a newer treeswap"
        )


def _tree(value: dict[str, Any]) -> Tree:
    shared, exclude, touch, ignore = (tuple(value[key]) for key in ("shared", "exclude", "touch", "ignore"))
    return Tree(value["name"], _path(value["path"]), _path(value["trees_dir"]), shared, exclude, touch, ignore)


def _record(value: dict[str, Any]) -> Record:
    versions = [_version(version) for version in value["versions"]]
    return Record(
        id=ReleaseId.parse(value["id"]),
        versions={version.tree: version for version in versions},
        sealed_at=time_of(value["sealed_at"]),
        kind=value["kind"],
        by=value["by"],
        label=value["label"],
        revision=value["revision"],
        repeats=_id(value["repeats"]),
        run=_id(value["run"]),
        adopts=_id(value["adopts"]),
    )


def _version(value: dict[str, Any]) -> Version:
    return Version(**{**value, "id": ReleaseId.parse(value["id"]), "trees_dir": _path(value["trees_dir"])})


def _id(text: str | None) -> ReleaseId | None:
    return None if text is None else ReleaseId.parse(text)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _nonsense(what: str, cause: object) -> Damaged:
    return Damaged(
        f"{what} is damaged",
        hint=_RESTORE,
        cause=cause,
    )
