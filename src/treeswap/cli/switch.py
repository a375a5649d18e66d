"""treeswap switch ID: the second half of a deploy."""

from __future__ import annotations

import click

from . import completing, summaries
from .command import SWITCHES, dry_run, verb
from .report import Answer
from .session import Session


@verb("switch", example="treeswap switch 20261122180102\ntreeswap switch v1.4", exits=SWITCHES)
@click.argument("release", metavar="ID", shell_complete=completing.releases)
@click.option("--adopt", is_flag=True, help="Agree to turn live directories into public paths.")
@click.option("--leave-strays", is_flag=True, help="Go on although files would be taken out of view.")
@click.option("--force", is_flag=True, help="Go on despite warnings.")
@dry_run
@click.pass_obj
def command(session: Session, /, release: str, dry_run: bool, **flags: bool) -> Answer:
    """Make a release current.

    ID is an id, a unique prefix, `previous`, or an unambiguous label or revision. A release that was marked bad is good
    again after it.
    """
    site = session.site()
    if dry_run:
        return summaries.planned(site.plan_switch(release))
    outcome = session.agreed(lambda **consents: site.switch(release, **{**flags, **consents}))
    back = session.command_for("rollback") if outcome.previous else None
    return summaries.done(session, outcome, f"Switched to {outcome.release}", back=back)
