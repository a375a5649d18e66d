"""Looking at everything that would stop the next change, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator

from treeswap import places
from treeswap.errors import TreeswapError
from treeswap.outcomes import (
    Finding,
)

from . import checking, fronting, standing, straying
from .core import Core
from .request import Request


def check(core: Core, request: Request | None) -> tuple[Finding, ...]:
    """Looks at everything that would stop the next change, without changing anything."""
    return tuple(_findings(core, request))


def _findings(core: Core, request: Request | None) -> Iterator[Finding]:
    if core.exists:
        yield from _site_findings(core)
    else:
        yield Finding("site", None, f"{core.root} is not made yet; the first deploy makes it")
    if request is None:
        return
    try:
        work = checking.look(core, request)
        checking.check_space(core, work)
        checking.agree(core, work)
    except (TreeswapError, OSError) as error:
        hint = error.hint if isinstance(error, TreeswapError) else None
        yield Finding("next deploy", False, str(error), hint)
        return
    yield Finding("next deploy", True, f"{len(work.new)} of {len(work.site.trees)} trees would change")


def _site_findings(core: Core) -> Iterator[Finding]:
    now = standing.status(core)
    yield Finding("site", True, f"{core.root}, {now.current or 'no release yet'} is current")
    advice = f"type: {now.advice}" if now.advice else None
    yield Finding("state", now.state == "rest", now.interrupted or (str(now.lock) if now.lock else "at rest"), advice)
    if now.hold:
        yield Finding("hold", False, f"held by {now.hold.by}: {now.hold.why}", "treeswap unlock")
    may = os.access(core.layout.private, os.W_OK)
    yield Finding("permission", may, "may change the site" if may else f"may not write to {core.layout.private}")
    for name, tree in now.trees.items():
        detail = tree.problem or (f"{tree.path}" if tree.path else f"{core.layout.current / name}")
        yield Finding(f"public path of {name}", tree.ok, detail)
    try:
        dests = [tree.path for tree in core.trees.values() if tree.path]
        places.check_place(core.root, "the site's directory", dests, core.settings.group)
        yield Finding("place", True, "reached by those who read the public paths, written by nobody else")
    except TreeswapError as error:
        yield Finding("place", False, error.message, error.hint)
    yield from _stray_findings(core)
    yield from fronting.findings(core)
    free = os.statvfs(core.root)
    yield Finding("space", True, f"{free.f_bavail * free.f_frsize:,} bytes and {free.f_favail:,} inodes free")


def _stray_findings(core: Core) -> Iterator[Finding]:
    try:
        record = core.current_record()
        if record is not None:
            core.check_homes(record.versions)
            straying.check_strays(core, record.versions)
        yield Finding("strays", True, "none in the current release")
    except TreeswapError as error:
        yield Finding("strays", False, error.message, error.hint)
    except PermissionError as error:
        yield Finding("strays", None, f"could not be looked for: {error}")
