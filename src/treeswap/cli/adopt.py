"""treeswap adopt [NAME=]DEST …: live directories become public paths, with the content they have."""

from __future__ import annotations

from typing import Any

import click

from treeswap.errors import UsageError

from . import summaries
from .command import GOES_ON, LINES, dry_run, verb
from .report import Answer
from .session import Session


@verb("adopt", example="treeswap adopt /srv/www/apps /etc/mysite media=/srv/static/media", exits=GOES_ON)
@click.argument("dests", type=click.Path(), metavar="[[NAME=]DEST]...", nargs=-1)
@click.option("--deploy-to", type=click.Path(), metavar="DIRECTORY", help="Where SITE is, or is to be made.")
@click.option(
    "--shared",
    metavar="TREE/PATH",
    type=LINES,
    multiple=True,
    help="Outlives releases: a file, or TREE/PATH/ for a directory.",
)
@click.option("--add", is_flag=True, help="Agree to let new trees join the site.")
@click.option("--allow-gap", is_flag=True, help="Adopt by two renames where the filesystem cannot exchange.")
@click.option("--label", metavar="TEXT", help="A name for the release, to find it by.")
@dry_run
@click.pass_obj
def command(
    session: Session,
    /,
    dests: tuple[str, ...],
    deploy_to: str | None,
    shared: tuple[str, ...],
    dry_run: bool,
    **flags: Any,
) -> Answer:
    """Turn live directories into public paths, as they are.

    Nothing is copied and no path is missing at any moment: each directory becomes the first version of its tree.
    Without DEST, the directories that treeswap.toml names.
    """
    from treeswap.site import Site

    from .pairs import parse_dest

    if dests:
        wanted = [parse_dest(word) for word in dests]
        site = session.about(Site.for_copy(wanted, session.told_place(deploy_to), **session.adapters()), named=True)
        request = site.request_for(wanted, shared=shared, adopt=True, **flags)
    else:
        if shared or deploy_to:
            raise UsageError("without DEST, treeswap.toml says what is shared and where the site is")
        config = session.config()
        site = session.configured_site(config)
        request = config.without_sources().request(adopt=True, present_only=True, **flags)
    if dry_run:
        return summaries.planned(site.plan_adopt(request))
    outcome = session.deployed(site.adopt, request)
    return summaries.done(session, outcome, f"Adopted as {outcome.release}", back=session.command_for("unadopt"))
