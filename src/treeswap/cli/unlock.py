"""treeswap unlock: end a hold."""

from __future__ import annotations

import click

from treeswap.outcomes import Plan

from . import summaries, words
from .command import CHANGES, dry_run, verb
from .report import Answer
from .session import Session


@verb("unlock", example="treeswap unlock", exits=CHANGES)
@dry_run
@click.pass_obj
def command(session: Session, /, dry_run: bool) -> Answer:
    """End the hold that `treeswap lock` put on the site."""
    site = session.site()
    hold = site.status().hold
    if dry_run:
        steps = (f"end the hold: {hold.why}",) if hold else ()
        return summaries.planned(Plan(steps, changes=hold is not None, site=site.root))
    site.release_hold()
    told = "the hold is ended" if hold else "there was no hold"
    return Answer({"changed": hold is not None, "hold": None}, told=f"{words.name(site.root)}: {told}")
