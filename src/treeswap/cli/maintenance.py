"""treeswap maintenance on|off: the page that visitors see meanwhile."""

from __future__ import annotations

import click

from . import summaries
from .command import SWITCHES, dry_run, seconds, verb
from .report import Answer
from .session import Session


@verb(
    "maintenance",
    example="treeswap maintenance on --message 'Back at 18:00 UTC.'\ntreeswap maintenance off",
    exits=SWITCHES,
)
@click.argument("state", metavar="on|off", type=click.Choice(["on", "off"]))
@click.option("-m", "--message", metavar="TEXT", help="What the page says.")
@click.option("--retry-after", type=seconds, metavar="SECONDS", help="When browsers ask again; default 120.")
@click.option("--as-release", is_flag=True, help="A release of its own holds the page.")
@click.option("--tree", metavar="NAME", help="With --as-release: the tree that holds it.")
@dry_run
@click.pass_obj
def command(
    session: Session,
    /,
    state: str,
    message: str | None,
    retry_after: float | None,
    as_release: bool,
    tree: str | None,
    dry_run: bool,
) -> Answer:
    """Put the maintenance page up, or take it down.

    While it is up, a web server with the configuration that treeswap prints answers 503 with it. Where the web server's
    configuration is out of reach, --as-release switches to a release of its own in which a tree holds nothing but the
    page; it is answered with 200 then, and off switches back.
    """
    site, is_on = session.site(), state == "on"
    if dry_run:
        return summaries.planned(site.plan_maintenance(on=is_on, as_release=as_release, tree=tree))
    if not is_on:
        outcome = site.maintenance_off()
        return summaries.done(session, outcome, "The maintenance page is down")
    outcome = site.maintenance_on(message, retry_after=retry_after, as_release=as_release, tree=tree)
    answer = summaries.done(session, outcome, "The maintenance page is up")
    answer.told += f"\nto take it down: {session.command_for('maintenance', 'off')}"
    return answer
