"""treeswap lock -m WHY: refuse changes until unlock."""

from __future__ import annotations

import click

from treeswap.outcomes import Plan

from . import summaries, words
from .command import CHANGES, dry_run, verb
from .report import Answer
from .session import Session


@verb("lock", example="treeswap lock -m 'database migration until 18:00'", exits=CHANGES)
@click.option("-m", "--message", metavar="WHY", required=True, help="Why; whoever is refused is told.")
@dry_run
@click.pass_obj
def command(session: Session, /, message: str, dry_run: bool) -> Answer:
    """Put a hold on the site: changes are refused until `treeswap unlock`."""
    site = session.site()
    if dry_run:
        return summaries.planned(Plan((f"put a hold on the site: {message}",), changes=True, site=site.root))
    site.hold(message)
    told = f"{words.name(site.root)} is held: {message}\nto end it: {session.command_for('unlock')}"
    return Answer({"changed": True, "hold": {"why": message}}, told=told)
