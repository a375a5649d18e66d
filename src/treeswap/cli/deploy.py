"""treeswap deploy: the whole story, from treeswap.toml."""

from __future__ import annotations

from typing import Any

import click

from . import summaries
from .command import SWITCHES, consents, dry_run, names, verb
from .report import Answer
from .session import Session


@verb("deploy", example="treeswap deploy -n\ntreeswap deploy --env production --label v1.4", exits=SWITCHES)
@names
@consents
@dry_run
@click.pass_obj
def command(session: Session, /, dry_run: bool, **flags: Any) -> Answer:
    """The whole story, from treeswap.toml.

    Stages every tree that has a source, seals the release, switches all trees at one instant, and runs what is to run
    after the switch. Run where treeswap.toml is, or below it.
    """
    site, config = session.deployable()
    request = config.request(**flags)
    if dry_run:
        return summaries.planned(site.plan(request))
    from treeswap.config import local

    from . import notifying

    with notifying.Notices(session, site, config.notify) as notices:
        local.build(config, site, request)
        outcome = session.deployed(site.deploy, request)
        notices.done(outcome)
    back = session.command_for("rollback") if outcome.previous else None
    return summaries.done(session, outcome, f"Deployed {outcome.release}", back=back)
