"""treeswap recover: bring the site to rest after an interrupted change."""

from __future__ import annotations

import click

from . import summaries
from .command import CHANGES, dry_run, verb
from .report import Answer
from .session import Session


@verb("recover", example="treeswap recover", exits=CHANGES)
@dry_run
@click.pass_obj
def command(session: Session, /, dry_run: bool) -> Answer:
    """Bring the site to rest after an interrupted change.

    Every command that changes a site does this first; by itself it is for after a crash, when nothing else is to be
    changed.
    """
    site = session.site()
    if dry_run:
        return summaries.planned(site.plan_recover())
    return summaries.done(session, site.recover(), "Brought to rest")
