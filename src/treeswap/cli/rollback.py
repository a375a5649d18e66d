"""treeswap rollback [ID]: back to the newest earlier good release."""

from __future__ import annotations

import click

from . import completing, summaries
from .command import GOES_ON, dry_run, verb
from .report import Answer
from .session import Session


@verb("rollback", example="treeswap rollback", exits=tuple(sorted({*GOES_ON, 15})))
@click.argument("release", metavar="[ID]", required=False, shell_complete=completing.releases)
@click.option("--force", is_flag=True, help="Go on despite warnings.")
@dry_run
@click.pass_obj
def command(session: Session, /, release: str | None, force: bool, dry_run: bool) -> Answer:
    """Switch back to the newest earlier release that was served, is not bad, and differs.

    The release that is left is marked bad, and a second rollback goes further back; `treeswap switch ID` goes forward
    again. It does not wait for a deploy that is being staged.
    """
    site = session.site()
    if dry_run:
        return summaries.planned(site.plan_rollback(release))
    left = session.current()
    outcome = site.rollback(release, force=force)
    forward = session.command_for("switch", left) if left else None
    return summaries.done(session, outcome, f"Rolled back to {outcome.release}", back=forward)
