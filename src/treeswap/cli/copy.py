"""treeswap copy [NAME=]SRC:DEST …: stage all sources, switch all trees at once."""

from __future__ import annotations

from typing import Any

import click

from . import summaries
from .command import LINES, SWITCHES, consents, dry_run, names, seconds, verb
from .report import Answer
from .session import Session


@verb(
    "copy",
    example="treeswap copy build/apps:/srv/www/apps build/conf:/etc/mysite media=build/static:/srv/static/media",
    exits=SWITCHES,
)
@click.argument("pairs", type=click.Path(), metavar="[[NAME=]SRC:DEST]...", nargs=-1)
@click.option(
    "--tree",
    metavar="[NAME=]SRC DEST",
    nargs=2,
    type=LINES,
    multiple=True,
    help="A pair whose paths contain a colon.",
)
@click.option("--deploy-to", type=click.Path(), metavar="DIRECTORY", help="Where SITE is, or is to be made.")
@click.option(
    "--shared",
    metavar="TREE/PATH",
    type=LINES,
    multiple=True,
    help="Outlives releases: a file, or TREE/PATH/ for a directory.",
)
@click.option("--exclude", metavar="PATTERN", type=LINES, multiple=True, help="Leave out of sources, as in .gitignore.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="How many releases to keep.")
@click.option("--grace", type=seconds, metavar="SECONDS", help="For how long a release just left is not removed.")
@click.option("--after", metavar="COMMAND", type=LINES, multiple=True, help="Run after each switch, in the first tree.")
@click.option("--group", metavar="NAME", help="The group that may deploy too.")
@names
@consents
@dry_run
@click.pass_obj
def command(
    session: Session,
    /,
    pairs: tuple[str, ...],
    tree: tuple[tuple[str, str], ...],
    deploy_to: str | None,
    dry_run: bool,
    **asked: Any,
) -> Answer:
    """Stage all SRC, then switch all DEST at once.

    Each DEST becomes exactly what its SRC holds, and all of them change at one instant. No configuration is needed: the
    site is found by its DESTs, or made with the first copy. DESTs of the site that are not named keep their version.

    A tree is named after DEST's last component unless NAME= says otherwise. What --shared, --exclude, --keep, --grace,
    --after and --group say is remembered.
    """
    from treeswap.site import Site

    from .pairs import pairs as parsed

    wanted = parsed(pairs, tree)
    site = session.about(Site.for_copy(wanted, session.told_place(deploy_to), **session.adapters()), named=True)
    request = site.request_for(wanted, **asked)
    if dry_run:
        return summaries.planned(site.plan(request))
    outcome = session.deployed(site.deploy, request)
    back = session.command_for("rollback") if outcome.previous else None
    return summaries.done(session, outcome, f"Deployed {outcome.release}", back=back)
