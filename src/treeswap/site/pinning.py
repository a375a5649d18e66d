"""Holding a release: a block, or a process and its children, sees one release that nobody takes away."""

from __future__ import annotations

import os
import time

from treeswap import lease
from treeswap.errors import NoSuchRelease, Unsettled
from treeswap.lease import Lease

from .core import Core

_PATIENCE = 10.0
"""Seconds for which to wait for an adoption to end, or for a release that always goes before it can be held."""


def take(core: Core, token: str | None) -> Lease:
    """A lease of a release (default: current). Needs no more than to be able to read the site."""
    core.require()
    deadline = time.monotonic() + _PATIENCE
    while True:
        if (held := _try(core, token)) is not None:
            return held
        if time.monotonic() > deadline:
            raise Unsettled(
                "no release could be held: a directory is being adopted, or was when its process died",
                hint="treeswap status says more; treeswap recover ends what was interrupted",
            )
        time.sleep(0.005)


def _try(core: Core, token: str | None) -> Lease | None:
    """One attempt. The record is looked for after the lease was taken: who removes a release does it the other way."""
    if os.path.lexists(core.layout.moving):
        return None
    if token is None:
        id = core.ground.current()
        if id is None:
            raise NoSuchRelease("the site has no current release", hint="deploy one first")
    else:
        id = core.find_release(token).id
    fd = lease.share(core.layout, id)
    if fd is None:
        return None
    record = core.ground.records.find(id)
    if record is None or os.path.lexists(core.layout.moving):
        os.close(fd)
        return None
    return Lease(fd, core.release_of(record))
