"""A new version at its final path: made there as a whole, or gone again."""

from __future__ import annotations

import errno
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from treeswap.errors import Failed, NoSpace
from treeswap.manifest import Manifest
from treeswap.outcomes import FileCounts, Listener, silent
from treeswap.scan import Descent, open_root

from .filling import Filling
from .placing import Placing, Unfinished
from .plan import TreeWork
from .remove import remove
from .reuse import PRIVATE, Reuse
from .side import Side
from .times import Times


def place(
    work: TreeWork,
    destination: Path,
    *,
    now: datetime,
    last_seal_ns: int | None,
    held: Manifest | None = None,
    listener: Listener = silent,
) -> tuple[Manifest, FileCounts]:
    """Makes the version that `work` describes at `destination`, where nothing may be; or what that version holds which
    has `held` for its manifest, was given up, and is nobody's any more: then only what differs is done.

    `now` is the time of the deploy, `last_seal_ns` when a version of this tree was last sealed. Whatever is raised,
    the destination is gone again: `SourceRefused` if the source changed or does not hold still, `NoSpace`, and `Failed`
    for the rest.
    """
    what = f"the new version of {work.tree.name}"
    if held is None:
        try:
            destination.mkdir(PRIVATE)
        except OSError as error:
            raise not_made(error, what, destination) from error
    try:
        times = Times.at(now, last_seal_ns, first=work.base is None)
        with (
            Side(work.source.open()) as source,
            Side(_root_of_links(work)) as base,
            Descent(open_root(destination)) as target,
        ):
            return Placing(Filling(work, times, Reuse(work, held, times), source, base, target), listener).run()
    except BaseException as error:
        with suppress(OSError, Failed):
            remove(destination)
        if isinstance(error, Unfinished):
            return place(work, destination, now=now, last_seal_ns=last_seal_ns, listener=listener)
        if isinstance(error, OSError):
            raise not_made(error, what, destination) from error
        raise


def not_made(error: OSError, what: str, destination: Path) -> Failed:
    """What to raise when the filesystem of `destination` does not take what is being made there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"make room on the filesystem of {destination.parent}"
        return NoSpace(f"there is no space left for {what}", hint=hint, cause=error)
    return Failed(f"{what} cannot be made at {destination}", cause=error)


def _root_of_links(work: TreeWork) -> int | None:
    """A descriptor of the version to link from; without it everything is copied."""
    if work.base and work.base.linkable:
        with suppress(OSError):
            return open_root(work.base.directory)
    return None
