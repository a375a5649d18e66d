"""Everything that only looks: status, releases, history, diff, verify, check. Works for who may only read, and in the
middle of an interrupted change."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from treeswap import lock, manifest, places, recovery, scan
from treeswap.envelope import time_of
from treeswap.errors import Damaged, Failed, TreeswapError
from treeswap.history import History, rollback_target
from treeswap.outcomes import (
    CommandLog,
    Decision,
    Difference,
    Finding,
    LogEntry,
    Problem,
    ReleaseRow,
    Status,
    TreeDifference,
    TreeStatus,
    Verified,
)
from treeswap.release import Record, ReleaseId, Tree, Version
from treeswap.retention import Policy

from . import checking, pruning
from .core import Core
from .request import Request


def status(core: Core) -> Status:
    core.require()
    ground = core.ground
    records = ground.records.all()
    current = ground.current()
    history = ground.history()
    record = records.get(current) if current else None
    target = rollback_target(current, records, history, core.trees) if record and current else None
    holder = lock.holder(core.layout.switch_lock) or lock.holder(core.layout.deploy_lock)
    interrupted = None if holder else _interrupted(core, history)
    return Status(
        site=core.root,
        name=core.name,
        current=current,
        previous=history.previous(current, records),
        rollback_to=target.id if target else None,
        state="changing" if holder else "interrupted" if interrupted else "rest",
        lock=holder,
        hold=core.hold_mark(),
        trees={name: _tree_status(core, tree, record, history) for name, tree in core.trees.items()},
        interrupted=interrupted,
        advice=_advice(current, records) if interrupted else None,
    )


def _advice(current: ReleaseId | None, records: Mapping[ReleaseId, Record]) -> str:
    if current is not None and current not in records:
        return "treeswap switch ID, to one of those that `treeswap releases` lists"
    return "treeswap recover (or any command that changes the site)"


def _interrupted(core: Core, history: History) -> str | None:
    """What a dead process left unfinished, if anything."""
    if (intent := history.open) is not None:
        return recovery.described(core.ground, intent)
    try:
        left = recovery.leftovers(core.ground)
    except (OSError, TreeswapError):
        # Not ours to look into.
        return None
    current = core.ground.current()
    if current is not None and core.ground.records.find(current) is None:
        return f"current names {current}, which has no record any more"
    if left:
        return f"an interrupted change left {len(left)} thing{'s' if len(left) > 1 else ''} to clear, such as {left[0]}"
    return None


def _tree_status(core: Core, tree: Tree, record: Record | None, history: History) -> TreeStatus:
    if tree.path is None:
        return TreeStatus(None, ok=True)
    moving = history.open is not None and history.open.what != "switch"
    try:
        state = places.public_state(tree.path, core.layout, tree.name)
    except TreeswapError as error:
        return TreeStatus(tree.path, ok=False, problem=error.message)
    served = record is not None and tree.name in record.versions
    if not served:
        return TreeStatus(tree.path, ok=True, problem=None if state == "ours" else "not deployed yet")
    if state == "ours":
        whole = tree.path.is_dir()
        return TreeStatus(tree.path, ok=whole, problem=None if whole else "the public path dangles")
    if state == "live" and moving:
        return TreeStatus(tree.path, ok=True, problem="on its way into or out of the site")
    problem = "the public path is missing" if state == "missing" else "a plain directory is in the public path's place"
    return TreeStatus(tree.path, ok=False, problem=problem)


def releases(core: Core) -> tuple[ReleaseRow, ...]:
    core.require()
    ground = core.ground
    records = ground.records.all()
    current = ground.current()
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
    except PermissionError:
        # The manifests are not for everybody; who may only read learns no reasons.
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
    record = core.find_release(token)
    directory = core.layout.log(record.id)
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return ()
    return tuple(CommandLog(record.id, path.stem, path.read_text(errors="replace")) for path in paths)


def diff(core: Core, a: str | None, b: str | None) -> Difference:
    """What `b` (default: current) has that `a` (default: previous) has not."""
    one, other = core.find_release(a or "previous"), core.find_release(b or "current")
    trees = {}
    for name in sorted({*one.versions, *other.versions}):
        before, after = one.versions.get(name), other.versions.get(name)
        if before == after:
            continue
        added, changed, removed = manifest.compare(_manifest(core, before), _manifest(core, after))
        trees[name] = TreeDifference(_texts(added), _texts(changed), _texts(removed))
    return Difference(one.id, other.id, trees)


def _manifest(core: Core, version: Version | None) -> manifest.Manifest:
    return core.ground.records.manifest(version) if version else manifest.Manifest({})


def _texts(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(os.fsdecode(path) or "." for path in paths)


# ---------------------------------------------------------------- verify


def verify(core: Core, token: str | None) -> Verified:
    """Reads every version that a record names, once, or those of one release, and compares with what was sealed."""
    core.require()
    problems: list[Problem] = []
    versions: dict[tuple[str, ReleaseId], Version] = {}
    for record in _whole_records(core, token, problems):
        for version in record.versions.values():
            versions[version.tree, version.id] = version
        problems += _links_of(core, record)
    files = size = 0
    for version in versions.values():
        found = _read(core, version)
        problems += found
        files += version.files
        size += version.bytes
        _mark(core, version, hurt=bool(found))
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
    return problems


def _read(core: Core, version: Version) -> list[Problem]:
    core.tell("verify", tree=version.tree)
    directory = core.layout.version(version)
    tree = core.trees.get(version.tree) or Tree(version.tree)
    try:
        core.check_homes({version.tree: version})
        sealed = core.ground.records.manifest(version)
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
    with core.switching("verify"):
        core.ground.journal.append("damaged" if hurt else "sound", tree=version.tree, version=version.id)


# ---------------------------------------------------------------- check


def check(core: Core, request: Request | None) -> tuple[Finding, ...]:
    """Looks at everything that would stop the next change, without changing anything."""
    return tuple(_findings(core, request))


def _findings(core: Core, request: Request | None) -> Iterator[Finding]:
    if core.exists:
        yield from _site_findings(core)
    else:
        yield Finding("site", None, f"{core.root} is not made yet; the first deploy makes it")
    if request is None:
        return
    try:
        work = checking.look(core, request)
        checking.check_space(core, work)
        checking.agree(core, work)
    except (TreeswapError, OSError) as error:
        hint = error.hint if isinstance(error, TreeswapError) else None
        yield Finding("next deploy", False, str(error), hint)
        return
    yield Finding("next deploy", True, f"{len(work.new)} of {len(work.site.trees)} trees would change")


def _site_findings(core: Core) -> Iterator[Finding]:
    now = status(core)
    yield Finding("site", True, f"{core.root}, {now.current or 'no release yet'} is current")
    advice = f"type: {now.advice}" if now.advice else None
    yield Finding("state", now.state == "rest", now.interrupted or (str(now.lock) if now.lock else "at rest"), advice)
    if now.hold:
        yield Finding("hold", False, f"held by {now.hold.by}: {now.hold.why}", "treeswap unlock")
    may = os.access(core.layout.private, os.W_OK)
    yield Finding("permission", may, "may change the site" if may else f"may not write to {core.layout.private}")
    for name, tree in now.trees.items():
        detail = tree.problem or (f"{tree.path}" if tree.path else f"{core.layout.current / name}")
        yield Finding(f"public path of {name}", tree.ok, detail)
    try:
        dests = [tree.path for tree in core.trees.values() if tree.path]
        places.check_place(core.root, "the site's directory", dests, core.settings.group)
        yield Finding("place", True, "reached by those who read the public paths, written by nobody else")
    except TreeswapError as error:
        yield Finding("place", False, error.message, error.hint)
    yield from _stray_findings(core)
    free = os.statvfs(core.root)
    yield Finding("space", True, f"{free.f_bavail * free.f_frsize:,} bytes and {free.f_favail:,} inodes free")


def _stray_findings(core: Core) -> Iterator[Finding]:
    try:
        record = core.current_record()
        if record is not None:
            core.check_homes(record.versions)
            checking.check_strays(core, record.versions)
        yield Finding("strays", True, "none in the current release")
    except TreeswapError as error:
        yield Finding("strays", False, error.message, error.hint)
    except PermissionError as error:
        yield Finding("strays", None, f"could not be looked for: {error}")
