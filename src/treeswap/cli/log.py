"""treeswap log [ID]: what happened to the site, or what a release's commands printed."""

from __future__ import annotations

import click

from . import completing, words
from .command import LOOKS, verb
from .report import Answer
from .session import Session


@verb("log", example="treeswap log\ntreeswap log 20261122180102", exits=LOOKS)
@click.argument("release", metavar="[ID]", required=False, shell_complete=completing.releases)
@click.pass_obj
def command(session: Session, /, release: str | None) -> Answer:
    """Show the site's history, or the kept output of a release's commands."""
    site = session.site()
    if release is None:
        return _history(session)
    logs = site.command_logs(release)
    fields = {"commands": [{"release": log.release, "name": log.name, "output": log.text} for log in logs]}
    blocks = [f"{log.release}  {words.name(log.name)}\n{log.text.rstrip()}".rstrip() for log in logs]
    return Answer(fields, text="\n\n".join(blocks) or f"no command of {release} has any output kept")


def _history(session: Session) -> Answer:
    entries = session.site().history()
    fields = {"history": [{"at": e.at, "what": e.what, "release": e.release, "by": e.by} for e in entries]}
    rows = [[words.when(e.at), e.release or "-", words.name(e.by or "-"), e.what] for e in entries]
    return Answer(fields, text=words.table(rows) if rows else "nothing has happened yet")
