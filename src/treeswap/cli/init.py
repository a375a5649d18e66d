"""treeswap init: make a site, or the configuration of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from treeswap import errors

from . import finding, summaries, words
from .command import CHANGES, dry_run, verb
from .report import Answer
from .session import Session

if TYPE_CHECKING:
    from treeswap.site import Request, Site


@verb(
    "init",
    example="treeswap init apps=/srv/www/apps /etc/mysite --deploy-to /srv/mysite\n"
    "treeswap init --site /srv/www/apps --output treeswap.toml",
    exits=CHANGES,
)
@click.argument("dests", type=click.Path(), metavar="[[NAME=]DEST]...", nargs=-1)
@click.option("--deploy-to", type=click.Path(), metavar="DIRECTORY", help="Where SITE is to be made.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="With --site: the file to write, which must not exist yet.",
)
@dry_run
@click.pass_obj
def command(
    session: Session, /, dests: tuple[str, ...], deploy_to: str | None, output: str | None, dry_run: bool
) -> Answer:
    """Make a site, or write the configuration of one that exists.

    From treeswap.toml, or for the DESTs given; nothing is adopted and no content is touched. With --site SITE, writes
    what the site remembers as a treeswap.toml, to stdout or to the file that --output names.
    """
    if dests or deploy_to:
        return _make_for(session, dests, deploy_to, dry_run)
    if finding.place(session.flags.site) is not None and session.flags.site is not None:
        return _write_out(session, output, dry_run)
    return _make_configured(session, dry_run)


def _make_for(session: Session, dests: tuple[str, ...], deploy_to: str | None, dry_run: bool) -> Answer:
    from treeswap.site import Site

    from .pairs import parse_dest

    if not dests:
        raise errors.UsageError("a site needs at least one DEST", hint="for example: treeswap init /srv/www/apps")
    pairs = [parse_dest(word) for word in dests]
    site = session.about(Site.for_copy(pairs, session.told_place(deploy_to), **session.adapters()), named=True)
    request = site.request_for(pairs)
    return _make(session, site, request, dry_run)


def _make_configured(session: Session, dry_run: bool) -> Answer:
    config = session.config_or_none()
    if config is None:
        raise errors.UsageError(
            f"nothing says what the site is: no {finding.CONFIG_NAME} here or above, and no DEST",
            hint="for example: treeswap init /srv/www/apps --deploy-to /srv/mysite",
        )
    return _make(session, session.configured_site(config), config.without_sources().request(), dry_run)


def _make(session: Session, site: Site, request: Request, dry_run: bool) -> Answer:
    from treeswap.site import Site

    if site.exists:
        return Answer({"changed": False, "site": site.root}, told=f"{words.name(site.root)} is a site already")
    if dry_run:
        plan = Site.plan_create(site.root, trees=request.trees, settings=request.settings, **session.adapters())
        return summaries.planned(plan)
    made = Site.create(
        site.root, name=request.name or site.name, trees=request.trees, settings=request.settings, **session.adapters()
    )
    told = f"made the site {words.name(made.root)}; nothing was adopted, and nothing is served yet"
    return Answer({"changed": True, "site": made.root}, told=told)


def _write_out(session: Session, output: str | None, dry_run: bool) -> Answer:
    from treeswap.config import toml

    text = toml.dump(session.site())
    if output is None or dry_run:
        return Answer({"changed": False, "toml": text}, text=text)
    file = Path(output).expanduser()
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise errors.UsageError(f"{file} exists already", hint="write to another file, or leave --output out to see it")
    except OSError as error:
        raise errors.UsageError(f"{file} cannot be written", cause=error)
    return Answer({"changed": True, "file": file}, told=f"wrote {words.name(os.path.abspath(file))}")
