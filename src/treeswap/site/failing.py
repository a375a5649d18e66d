"""What is done about a deploy that came to nothing, when all of it is cleared away."""

from __future__ import annotations

import os

from treeswap import durable, stage
from treeswap.layout import FAILED
from treeswap.release import ReleaseId

from .core import Core

KEPT = 5
"""Of so many failed deploys the output of commands stays."""


def keep_log(core: Core, id: ReleaseId) -> None:
    """Lets what the commands of a stage have printed stay, under a name that says that it is no release's."""
    log = core.layout.log(id)
    if not os.path.lexists(log):
        return
    durable.rename_over(log, core.layout.failed_log(id))
    for old in failed(core)[:-KEPT]:
        stage.remove(core.layout.failed_log(old))


def failed(core: Core) -> list[ReleaseId]:
    """The failed deploys of which there is output, oldest first."""
    try:
        names = [name.removesuffix(FAILED) for name in os.listdir(core.layout.logs) if name.endswith(FAILED)]
    except FileNotFoundError:
        return []
    return sorted(ReleaseId(name) for name in names if ReleaseId.valid(name))
