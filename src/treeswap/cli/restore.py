"""treeswap restore: not a command, but a word that people try."""

from __future__ import annotations

import click

from treeswap.errors import UsageError

from .command import verb
from .report import Answer


@verb("restore", example="treeswap rollback", exits=(2,), hidden=True)
@click.argument("words", nargs=-1, expose_value=False)
def command() -> Answer:
    """Does not exist: see rollback and unadopt."""
    raise UsageError(
        "there is no restore",
        hint="treeswap rollback goes back to the release before; treeswap unadopt makes plain directories again",
    )
