"""Builds that run where treeswap was typed, before anything is staged: they make what is a source then."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from treeswap.errors import Failed
from treeswap.release import ReleaseId

if TYPE_CHECKING:
    from treeswap.site import Request, Site

    from . import Config


def build(config: Config, site: Site, request: Request) -> None:
    """Runs the local builds, in the configuration's directory; `{apps}` is the source of the tree `apps`. `Failed` as a
    deploy would, whose `on_failure` runs then."""
    builds = [command for command in config.settings.build if command.local]
    if not builds:
        return
    from treeswap.site import commanding, failing

    place = commanding.Place(
        ReleaseId(""), config.file.parent, config.sources, site.ground.current() if site.exists else None
    )
    with tempfile.TemporaryDirectory(prefix="treeswap-") as directory:
        log = Path(directory) / "build.log"
        for command in builds:
            try:
                commanding.run(site, "build", command, place, log=log)
            except Failed as error:
                error.hint = "nothing was staged"
                failing.after(site, request, error, None)
                raise
