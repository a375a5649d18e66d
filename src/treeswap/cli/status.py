"""treeswap status: what is current, and whether all is well."""

from __future__ import annotations

import click

from treeswap.outcomes import ProcessStatus, Status, TreeStatus

from . import words
from .command import LOOKS, verb
from .report import Answer
from .session import Session


@verb("status", example="treeswap status\ntreeswap --json status --site /srv/www/apps", exits=LOOKS)
@click.pass_obj
def command(session: Session) -> Answer:
    """Show what is current, where a rollback would go, and whether all is well."""
    status = session.site().status()
    return Answer(_fields(status), text=_text(status))


def _fields(status: Status) -> dict[str, object]:
    lock, hold, page = status.lock, status.hold, status.maintenance
    return {
        "site": status.site,
        "name": status.name,
        "current": status.current,
        "previous": status.previous,
        "rollback_to": status.rollback_to,
        "state": status.state,
        "interrupted": status.interrupted,
        "advice": status.advice,
        "lock": lock and {"lock": lock.lock, "pid": lock.pid, "by": lock.by, "since": lock.since, "doing": lock.doing},
        "hold": hold and {"why": hold.why, "by": hold.by, "since": hold.since},
        "trees": {
            name: {"path": tree.path, "ok": tree.ok, "problem": tree.problem} for name, tree in status.trees.items()
        },
        "processes": {name: _process_fields(process) for name, process in status.processes.items()},
        "maintenance": page
        and {
            "why": page.why,
            "by": page.by,
            "since": page.since,
            "message": page.message,
            "retry_after": page.retry_after,
            "release": page.release,
        },
    }


def _process_fields(process: ProcessStatus) -> dict[str, object]:
    return {
        "instances": process.instances,
        "running": process.running,
        "manager": process.manager,
        "socket": process.socket,
        "also_of": list(process.also_of),
        "problem": process.problem,
    }


def _text(status: Status) -> str:
    state = {"rest": "at rest", "changing": "changing", "interrupted": "interrupted"}[status.state]
    rows = [
        ["site", f"{status.name}  {words.name(status.site)}"],
        ["current", status.current or "none"],
        ["previous", status.previous or "none"],
        ["rollback to", status.rollback_to or "nothing"],
        ["state", f"{state}: {status.interrupted}" if status.interrupted else state],
    ]
    if status.advice:
        rows.append(["advice", status.advice])
    if status.lock:
        rows.append(["lock", str(status.lock)])
    if status.hold:
        rows.append(["hold", f"{status.hold.why} ({status.hold.by}, {words.when(status.hold.since)})"])
    if page := status.maintenance:
        rows.append(["maintenance", f"{page.why} ({page.by or 'by hand'}, {words.when(page.since)})"])
    trees = [[name, _verdict(tree), words.name(tree.path or "no public path")] for name, tree in status.trees.items()]
    processes = [[name, _running(process)] for name, process in status.processes.items()]
    parts = [words.table(rows)]
    parts += [words.table([[name, path, ok] for name, ok, path in trees])] if trees else []
    parts += [words.table(processes)] if processes else []
    return "\n\n".join(parts)


def _running(process: ProcessStatus) -> str:
    if process.running is None:
        return f"not known: {process.problem}"
    told = []
    if process.instances:
        verdict = "" if process.running == process.instances else "NOT OK: "
        told.append(f"{verdict}{process.running} of {process.instances} running under {process.manager}")
    if process.also_of:
        told.append(f"still running of {', '.join(process.also_of)}")
    return "; ".join(told)


def _verdict(tree: TreeStatus) -> str:
    if not tree.ok:
        return f"NOT OK: {tree.problem}"
    return f"ok: {tree.problem}" if tree.problem else "ok"
