"""treeswap stage: the first half of a deploy."""

from __future__ import annotations

from typing import Any

import click

from . import summaries
from .command import CHANGES, consents, dry_run, names, verb
from .report import Answer
from .session import Session


@verb("stage", example="treeswap stage --label v1.4\ntreeswap switch v1.4", exits=CHANGES)
@names
@consents
@dry_run
@click.pass_obj
def command(session: Session, /, dry_run: bool, **flags: Any) -> Answer:
    """Make a release from treeswap.toml, but do not switch to it.

    The first half of deploy: visitors notice nothing. `treeswap switch ID` is the second half.
    """
    site, config = session.deployable()
    request = config.request(**flags)
    if dry_run:
        return summaries.planned(site.plan_stage(request))
    from treeswap.config import local

    local.build(config, site, request)
    outcome = session.deployed(site.stage_only, request)
    answer = summaries.done(session, outcome, f"Sealed {outcome.release}")
    if outcome.changed and outcome.release:
        answer.told += f"\nto make it current: {session.command_for('switch', outcome.release)}"
    return answer
