"""treeswap unadopt: public paths become plain directories again."""

from __future__ import annotations

import click

from . import completing, summaries
from .command import GOES_ON, dry_run, verb
from .report import Answer
from .session import Session


@verb("unadopt", example="treeswap unadopt --tree media", exits=GOES_ON)
@click.option("--tree", metavar="NAME", shell_complete=completing.trees, help="This tree only; it leaves the site.")
@dry_run
@click.pass_obj
def command(session: Session, /, tree: str | None, dry_run: bool) -> Answer:
    """Turn public paths back into plain directories.

    Each gets an independent copy of what it shows now; links to shared paths stay links. No path is missing at any
    moment.
    """
    site = session.site()
    if dry_run:
        return summaries.planned(site.plan_unadopt(tree))
    return summaries.done(session, site.unadopt(tree), "Gave the public paths back as plain directories")
