"""What is done about a deploy that came to nothing, when all of it is cleared away."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from treeswap import durable, lease, stage
from treeswap.errors import Failed, LaterStepFailed, SwitchedBack, TreeswapError
from treeswap.layout import FAILED
from treeswap.release import ReleaseId

from . import commanding
from .commanding import Place
from .core import Core
from .request import Request

_FAILURES = {Failed.exit_code, SwitchedBack.exit_code, LaterStepFailed.exit_code}
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


def after(core: Core, request: Request, error: TreeswapError | OSError, id: ReleaseId | None) -> None:
    """Runs the site's `on_failure` commands, beside the release that is current. What they fail at is a warning. `id`
    is the release that was to be."""
    settings = request.settings or core.settings
    code = error.exit_code if isinstance(error, TreeswapError) else Failed.exit_code
    if code not in _FAILURES or not settings.on_failure:
        return
    held = None
    try:
        record = core.current_record() if core.exists else None
        more = {
            "TREESWAP_FAILED": id or "",
            "TREESWAP_EXIT": str(code),
            "TREESWAP_ERROR": error.message if isinstance(error, TreeswapError) else str(error),
        }
        if record is None:
            # Where nothing was ever served there is no site any more, nor a place for what the commands print.
            place = Place(ReleaseId(""), core.root.parent, {}, None, None, more)
        else:
            held = lease.share(core.layout, record.id)
            place = replace(commanding.place_of(core, record, record.id, held), more=more)
        log = _log_of(core, id) if record else Path(os.devnull)
        for command in settings.on_failure:
            commanding.run(core, "on_failure", command, place, lingers=True, log=log)
    except (TreeswapError, OSError) as failure:
        told = failure.message if isinstance(failure, TreeswapError) else failure
        core.tell("on_failure", note=f"what is to run after a failure failed, too: {told}", warning=True)
    finally:
        if held is not None:
            lease.let_go(held)


def _log_of(core: Core, id: ReleaseId | None) -> Path:
    """Beside the output of the deploy's other commands, whether its release is there or not."""
    if id is None:
        return Path(os.devnull)
    directory = core.layout.log(id) if os.path.lexists(core.layout.record(id)) else core.layout.failed_log(id)
    return directory / "on_failure.log"


def failed(core: Core) -> list[ReleaseId]:
    """The failed deploys of which there is output, oldest first."""
    try:
        names = [name.removesuffix(FAILED) for name in os.listdir(core.layout.logs) if name.endswith(FAILED)]
    except FileNotFoundError:
        return []
    return sorted(ReleaseId(name) for name in names if ReleaseId.valid(name))
