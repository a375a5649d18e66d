"""One rename moves `current`, and with it every tree of the site.

Promise: a path lookup through a public path resolves `current` once, so it leads into one whole release, before, during
and after the rename; and when `point` returns, the new release is current after a power cut too.

Not covered: a reader that opens two files, one before and one after, has seen two releases; one that must not holds a
lease and reads through the release's own directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from . import durable
from .errors import Damaged
from .layout import Layout, id_in, release_text
from .release import Record, ReleaseId, Tree


def read_current(layout: Layout) -> ReleaseId | None:
    """The release that `current` names; None where there is no link yet. `Damaged` for what is not one of ours."""
    try:
        text = os.readlink(layout.current)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{layout.current} is not a symlink", hint="move it away, then `treeswap switch ID`", cause=error)
    if (id := id_in(text)) is None:
        raise Damaged(
            f"{layout.current} leads to {text!r}, which is not releases/ID",
            hint=f"point it at a release of this site: ln -sfn releases/ID {layout.current}",
        )
    return id


def point(layout: Layout, id: ReleaseId) -> None:
    """The one moment at which anything changes. Durable."""
    durable.swing_link(release_text(id), layout.current)


def confirm(layout: Layout) -> None:
    """Makes what `current` reads durable. Who moved it may have died before its fsync, and no outcome may be on disk
    before the rename."""
    durable.fsync_directory(layout.root)


def unpoint(layout: Layout) -> None:
    """Takes back a first `point` that nothing leads through yet. Durable."""
    durable.remove_durably([layout.current], layout.root)


def make_release(layout: Layout, record: Record) -> None:
    """The release's directory of links. Not durable by itself: a `Barrier`, or `sync_release`, must come before the
    record."""
    directory = layout.release(record.id)
    durable.make_directory(directory, 0o755)
    for version in record.versions.values():
        durable.put_link(layout.version_link_text(version), directory / version.tree)
    run = layout.run(record.run or record.id)
    durable.make_directory(run, 0o755)
    _give_to_owner(run, layout.root)
    durable.put_link(f"../../run/{run.name}", directory / "run")
    if record.revision is not None:
        durable.replace_file_loosely(directory / "REVISION", [os.fsencode(f"{record.revision}\n")], 0o644)


def _give_to_owner(run: Path, site: Path) -> None:
    """Sockets are made by processes, which run as the owner of SITE, also where root deploys."""
    owner = site.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(run, owner.st_uid, owner.st_gid)


def sync_release(layout: Layout, record: Record) -> None:
    """Makes a release's directory of links durable, and the lease that was made for it: without one nobody could hold
    the release."""
    for made in (layout.release(record.id), layout.releases, layout.runs, layout.leases):
        durable.fsync_directory(made)


def put_public_links(layout: Layout, trees: Iterable[Tree]) -> list[Path]:
    """Makes the public links that are missing, durable, and gives them. Before the first switch they dangle, so that
    `current` makes all of them appear at once."""
    made = []
    for tree in trees:
        if tree.path is not None and not os.path.lexists(tree.path):
            durable.put_link(layout.public_text(tree.name), tree.path)
            made.append(tree.path)
    for directory in {path.parent for path in made}:
        durable.fsync_directory(directory)
    return made


def drop_unused_links(layout: Layout, trees: Iterable[Tree], current: Record | None) -> list[Path]:
    """Removes public links of trees that the current release has not: a switch that did not happen left them."""
    dropped = []
    for tree in trees:
        unused = current is None or tree.name not in current.versions
        if tree.path is not None and unused and durable.leads_through(tree.path, layout.public_text(tree.name)):
            durable.remove_file(tree.path)
            dropped.append(tree.path)
    return dropped
