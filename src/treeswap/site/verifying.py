"""Comparing what is there with what was sealed, byte by byte."""

from __future__ import annotations

import os

from treeswap import scan
from treeswap.envelope import contents
from treeswap.errors import Damaged, Failed, Locked
from treeswap.outcomes import (
    Problem,
    Verified,
)
from treeswap.release import Record, ReleaseId, Tree, Version

from .core import Core


def verify(core: Core, token: str | None) -> Verified:
    """Reads every version that a record names, once, or those of one release, and compares with what was sealed.

    Nothing is locked meanwhile: what is being adopted is left out, and a release that somebody removes is not judged.
    """
    core.require()
    problems: list[Problem] = []
    versions: dict[tuple[str, ReleaseId], Version] = {}
    for record in _whole_records(core, token, problems):
        for version in record.versions.values():
            versions[version.tree, version.id] = version
        problems += _links_of(core, record)
    moving = _moving(core)
    versions = {key: version for key, version in versions.items() if version.id != moving}
    files = size = 0
    for version in versions.values():
        found = _read(core, version)
        if found and not _is_named(core, version):
            continue
        problems += found
        files += version.files
        size += version.bytes
        # What somebody put there beside it takes nothing from what was sealed: a rollback may go to it.
        _mark(core, version, hurt=any(problem.kind != "added" for problem in found))
    return Verified(tuple(problems), len(versions), files, size)


def _whole_records(core: Core, token: str | None, problems: list[Problem]) -> list[Record]:
    if token is not None:
        return [core.find_release(token)]
    records = []
    for id in core.ground.records.ids():
        try:
            record = core.ground.records.find(id)
        except Damaged as error:
            problems.append(Problem(None, id, "damaged", None, error.message))
            continue
        if record is not None:
            records.append(record)
    return records


def _links_of(core: Core, record: Record) -> list[Problem]:
    problems = []
    for name, version in record.versions.items():
        link = core.layout.release(record.id) / name
        try:
            text = os.readlink(link)
        except OSError as error:
            problems.append(Problem(name, version.id, "missing", str(link), error.strerror or "cannot be read"))
            continue
        if text != core.layout.version_link_text(version):
            problems.append(Problem(name, version.id, "changed", str(link), f"leads to {text}"))
    return problems if problems and record.id in core.ground.records.ids() else []


def _moving(core: Core) -> str | None:
    """The release whose versions are on their way from their public paths, if there is one. Its record is written after
    this is told, and this is taken away when all is done: who looks after the records misses none."""
    try:
        return contents(core.layout.moving).decode(errors="replace").strip()
    except FileNotFoundError:
        return None


def _is_named(core: Core, version: Version) -> bool:
    """Whether a record still names a version. A release's record goes before its files do."""
    return any(record.versions.get(version.tree) == version for record in _whole_records(core, None, []))


def _read(core: Core, version: Version) -> list[Problem]:
    core.tell("verify", tree=version.tree)
    directory = core.layout.version(version)
    tree = core.trees.get(version.tree) or Tree(version.tree)
    try:
        core.check_homes({version.tree: version})
        sealed = core.ground.records.manifest(version)
        assert sealed.entries, "every line of it can be read"
        assert core.ground.records.sourced(version).entries, "and of what it held before a build"
    except Damaged as error:
        return [Problem(version.tree, version.id, "damaged", None, f"{error.message}: {error.cause}")]
    except Failed as error:
        return [Problem(version.tree, version.id, "missing", None, error.message)]
    if not directory.is_dir():
        return [Problem(version.tree, version.id, "missing", None, f"{directory} is not there")]
    found = scan.examine(directory, sealed, ignore=tree.ignore, listener=core.listener)
    return [Problem(version.tree, version.id, kind, os.fsdecode(path), detail) for kind, path, detail in found]


def _mark(core: Core, version: Version, *, hurt: bool) -> None:
    """Remembers damage, which a rollback refuses to go to; forgets it when it is mended. Who may only read does not."""
    pair = (version.tree, version.id)
    known = pair in core.ground.journal.history().damaged
    if known == hurt or not os.access(core.layout.journal, os.W_OK):
        return
    try:
        with core.switching("verify"):
            core.ground.journal.append("damaged" if hurt else "sound", tree=version.tree, version=version.id)
    except Locked as error:
        # What was found is the answer all the same.
        core.tell(
            "verify", tree=version.tree, note=f"what was found of {version.id} is not noted: {error}", warning=True
        )
