"""Several directory trees, one atomic change.

    site = treeswap.Site.open("/srv/example.com")
    release = site.stage({"apps": "build/apps", "media": "build/media"})
    site.switch(release)
    site.rollback()

The public names are `__all__`; each is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import errors, outcomes
    from .api import (
        Command,
        Event,
        Lease,
        Outcome,
        Pair,
        Plan,
        Record,
        Release,
        ReleaseId,
        Request,
        Settings,
        Site,
        Status,
        Tree,
        TreeswapError,
        Version,
    )

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
    "__version__",
    "errors",
    "outcomes",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("errors", "outcomes"):
        return import_module(f".{name}", __name__)
    return getattr(import_module(".api", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
