"""The public names of the library: `import treeswap` gives them, each when it is first asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import site
from .config.excludes import excluding
from .errors import TreeswapError
from .lease import Lease
from .outcomes import Event, Outcome, Plan, Status
from .release import Command, Record, Release, ReleaseId, Settings, Tree, Version
from .site import Pair, Request

__all__ = [
    "Command",
    "Event",
    "Lease",
    "Outcome",
    "Pair",
    "Plan",
    "Record",
    "Release",
    "ReleaseId",
    "Request",
    "Settings",
    "Site",
    "Status",
    "Tree",
    "TreeswapError",
    "Version",
]


class Site(site.Site):
    """A site on this machine, with every verb.

        site = treeswap.Site.open("/srv/example.com")
        release = site.stage({"apps": "build/apps"})
        site.switch(release)

    What a tree excludes is told as in .gitignore.
    """

    def __init__(self, root: Path, **adapters: Any) -> None:
        super().__init__(root, **{"excluding": excluding, **adapters})
