"""What a person asks of a site's past: its releases, its history, the output of commands, differences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from treeswap import manifest
from treeswap.envelope import time_of
from treeswap.errors import Damaged, NoSuchRelease
from treeswap.history import History
from treeswap.outcomes import (
    CommandLog,
    Decision,
    Difference,
    LogEntry,
    ReleaseRow,
    TreeDifference,
)
from treeswap.release import Record, ReleaseId, Version
from treeswap.retention import Policy

from . import failing, pruning
from .core import Core


def releases(core: Core) -> tuple[ReleaseRow, ...]:
    core.require()
    ground = core.ground
    current, records = core.current_and_releases()
    history = ground.history()
    previous = history.previous(current, records)
    policy = Policy(core.settings.keep_releases, core.settings.grace)
    kept = {d.id: d.because for d in _decisions(core, policy) if d.keep}
    return tuple(
        ReleaseRow(
            record,
            _state(record, current, previous, history),
            {name: core.layout.version(version) for name, version in record.versions.items()},
            kept.get(id),
        )
        for id, record in sorted(records.items(), reverse=True)
    )


def _decisions(core: Core, policy: Policy) -> Iterable[Decision]:
    try:
        return pruning.decide(core, policy)
    except (PermissionError, Damaged):
        # The manifests are not for everybody; who may only read learns no reasons. Nor is there one to keep or remove
        # anything by, while a record cannot be read.
        return ()


def _state(record: Record, current: ReleaseId | None, previous: ReleaseId | None, history: History) -> str:
    if record.id == current:
        return "current"
    if history.is_bad(record):
        return "bad"
    if record.id == previous:
        return "previous"
    return "adopted" if record.kind == "adopted" else "ready"


def history_of(core: Core) -> tuple[LogEntry, ...]:
    """What happened to the site, oldest first."""
    core.require()
    return tuple(_entries(core.ground.journal.events()))


def _entries(events: Iterable[dict[str, object]]) -> Iterator[LogEntry]:
    opened: dict[str, object] | None = None
    for event in events:
        at, by = time_of(str(event["at"])), str(event.get("by", ""))
        match event["event"]:
            case "intent":
                opened = event
            case "outcome" if opened is not None:
                id = ReleaseId(str(opened["to"])) if opened["to"] else None
                what = str(opened["why"]) if event["done"] else f"{opened['why']} (did not happen)"
                if opened["from"] and opened["to"]:
                    what += f" from {opened['from']}"
                yield LogEntry(at, what, id, by)
                opened = None
            case "observed":
                yield LogEntry(at, "switched by hand", ReleaseId(str(event["id"])), None)
            case "removed":
                ids = event["ids"]
                assert isinstance(ids, list)
                for id in ids:
                    yield LogEntry(at, "removed", ReleaseId(str(id)), by)
            case "migrated":
                came = "migrated" if event["done"] else "migration failed"
                yield LogEntry(at, f"{came}: {event['command']}", ReleaseId(str(event["release"])), by)
            case "maintenance":
                yield LogEntry(at, f"maintenance {'on' if event['on'] else 'off'}: {event['why']}", None, by)
            case "damaged":
                version = ReleaseId(str(event["version"]))
                yield LogEntry(at, f"found the version of {event['tree']} damaged", version, by)
            case "sound":
                version = ReleaseId(str(event["version"]))
                yield LogEntry(at, f"found the version of {event['tree']} sound again", version, by)
    if opened is not None:
        id = ReleaseId(str(opened["to"])) if opened["to"] else None
        yield LogEntry(time_of(str(opened["at"])), f"{opened['why']} (begun)", id, str(opened.get("by", "")))


def command_logs(core: Core, token: str) -> tuple[CommandLog, ...]:
    id, directory = _log_of(core, token)
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return ()
    return tuple(CommandLog(id, path.stem, path.read_text(errors="replace")) for path in paths)


def _log_of(core: Core, token: str) -> tuple[ReleaseId, Path]:
    """The release that a word names, or else the failed deploy, and where the output of its commands is."""
    try:
        id = core.find_release(token).id
    except NoSuchRelease:
        found = [id for id in failing.failed(core) if token and id.startswith(token)]
        if len(found) != 1:
            raise
        return found[0], core.layout.failed_log(found[0])
    return id, core.layout.log(id)


def diff(core: Core, a: str | None, b: str | None) -> Difference:
    """What `b` (default: current) has that `a` (default: previous) has not."""
    one, other = core.find_release(a or "previous"), core.find_release(b or "current")
    trees = {}
    for name in sorted({*one.versions, *other.versions}):
        before, after = one.versions.get(name), other.versions.get(name)
        if before == after:
            continue
        added, changed, removed = manifest.compare(_manifest(core, one, before), _manifest(core, other, after))
        trees[name] = TreeDifference(_texts(added), _texts(changed), _texts(removed))
    return Difference(one.id, other.id, trees)


def _manifest(core: Core, record: Record, version: Version | None) -> manifest.Manifest:
    try:
        return core.ground.records.manifest(version) if version else manifest.Manifest({})
    except Damaged:
        if core.ground.records.find(record.id) is not None:
            raise
        raise NoSuchRelease(
            f"{record.id} was removed while it was looked at", hint="`treeswap releases` lists those that exist"
        )


def _texts(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(os.fsdecode(path) or "." for path in paths)
