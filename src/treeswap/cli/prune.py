"""treeswap prune: remove the releases that need not stay."""

from __future__ import annotations

import click

from . import completing, summaries
from .command import CHANGES, dry_run, seconds, verb
from .report import Answer
from .session import Session


@verb("prune", example="treeswap prune -n\ntreeswap prune --keep 2 --grace 0", exits=CHANGES)
@click.argument("releases", metavar="[ID]...", nargs=-1, shell_complete=completing.releases)
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="How many releases to keep, this time.")
@click.option("--grace", type=seconds, metavar="SECONDS", help="For how long one just left is safe, this time.")
@dry_run
@click.pass_obj
def command(
    session: Session, /, releases: tuple[str, ...], keep: int | None, grace: float | None, dry_run: bool
) -> Answer:
    """Remove the releases that need not stay, or those that are named.

    What is current, leased, in use by a process, or what a rollback would go to, always stays.
    """
    site = session.site()
    act = site.plan_prune if dry_run else site.prune
    return summaries.pruned(session, act(list(releases), keep=keep, grace=grace), dry=dry_run)
