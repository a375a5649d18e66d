"""Where a site's versions, shared paths and caches live: made, and taken away when made for nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from treeswap import durable, places, stage
from treeswap.errors import Failed, SourceRefused
from treeswap.layout import MARKER, lies_in
from treeswap.leftovers import leads_to_nothing
from treeswap.manifest import Manifest
from treeswap.release import Tree
from treeswap.stage import TreeWork

from .core import Core


def prepare(core: Core, tree: Tree, made: list[Path]) -> None:
    """Makes the directory that holds a tree's versions, marked if it is not in SITE. Not durable by itself.

    `made` gets what is made, innermost first, before it is: it has to go again also where the making fails.
    """
    layout = core.layout
    directory = layout.versions(tree)
    missing = [here for here in (directory, *directory.parents) if not here.exists()]
    made[:0] = missing
    durable.make_directories(directory, 0o755)
    for here in missing:
        core.share(here, 0o755, core.settings)
    if tree.trees_dir is None:
        return
    marker = tree.trees_dir / MARKER
    if not marker.exists():
        # A process may have died while it marked this directory, which no sweep enters before it is marked.
        for path in tree.trees_dir.iterdir():
            if durable.is_temporary(path.name) and path.name.startswith(f".{MARKER}."):
                durable.remove_file(path)
        durable.replace_file_whole(marker, f"{core.ground.site.id}\n{core.root}\n".encode(), 0o644)
    places.check_trees_dir(tree.trees_dir, core.ground.site.id)
    shared = tree.trees_dir / "shared"
    if not shared.exists():
        durable.make_directory(shared, 0o755)
        core.share(shared, 0o755, core.settings)
    if not os.path.lexists(layout.shared_of(tree)):
        made.insert(0, layout.shared_of(tree))
        durable.put_link(str(shared), layout.shared_of(tree))


def make_shared(core: Core, tree: Tree, shared: str, *, like: Path) -> None:
    """Makes the shared directory, if it is missing, with mode and owner of `like`. Not durable by itself."""
    outside = core.layout.shared_of(tree) / shared.rstrip("/")
    if os.path.lexists(outside):
        return
    durable.make_directories(outside.parent.resolve(), 0o755)
    status = os.stat(like)
    durable.make_directory(outside, status.st_mode & 0o777)
    if os.geteuid() == 0:
        os.chown(outside, status.st_uid, status.st_gid)


class Copy(NamedTuple):
    """A file or directory that is to be copied to where it is shared. Where it `replaces` what is there, a file."""

    inside: Path
    outside: Path
    replaces: bool = False


def copy_out(copies: Iterable[Copy], room: Path, *, sealing: bool) -> None:
    """Copies what is to be shared: each is whole and on disk before it has its name, by which readers and the next
    deploy take it for what is shared. The name is durable on return, or, where a release is `sealing`, by its sync.
    What a process that dies leaves in `room` is swept."""
    made: list[tuple[Path, Copy]] = []
    with durable.Barrier([room]) as barrier:
        try:
            for copy in copies:
                temporary = room / durable.temporary_name("shared")
                made.append((temporary, copy))
                _copy(copy.inside, temporary)
            barrier.sync()
            for temporary, copy in made:
                _make_room(copy.outside.parent, sealing=sealing)
                _name(temporary, copy)
        except BaseException:
            for temporary, _ in made:
                with suppress(OSError, Failed):
                    stage.remove(temporary)
            raise
    for directory in dict.fromkeys(copy.outside.parent for _, copy in made if not sealing):
        durable.fsync_directory(directory)


def _copy(inside: Path, temporary: Path) -> None:
    if inside.is_symlink():
        durable.put_link(os.readlink(inside), temporary)
        return
    try:
        stage.copy(inside, temporary)
    except SourceRefused:
        if os.path.lexists(inside):
            raise  # else it has gone meanwhile, and is in nobody's view any more


def _make_room(directory: Path, *, sealing: bool) -> None:
    make = durable.make_directories if sealing else durable.make_directories_durably
    make(directory.resolve(), 0o755)


def _name(temporary: Path, copy: Copy) -> None:
    if not os.path.lexists(temporary):
        return
    if copy.replaces:
        durable.rename_over(temporary, copy.outside)
        return
    if not durable.is_plain_directory(temporary):
        durable.rename_to_free(temporary, copy.outside)
        return
    mode = stat.S_IMODE(temporary.stat().st_mode)
    durable.set_mode(temporary, mode | stat.S_IWUSR)  # to be moved, a directory must be writable for its owner
    durable.rename_to_free(temporary, copy.outside)
    durable.set_mode(copy.outside, mode)


def remove(core: Core, made: Iterable[Path], trees: Iterable[str]) -> None:
    """Takes away what was made for these trees, innermost first, as far as nothing has come to stay in it: a live
    directory that was adopted lies there, too."""
    for path in made:
        if path.is_symlink():
            with suppress(OSError):
                durable.remove_file(path)
        elif os.path.lexists(path / MARKER):
            _remove_marked(path)
        else:
            remove_empty([path])
    for name in trees:
        with suppress(OSError):
            durable.remove_file(core.layout.cache / name)
            link = core.layout.shared / name
            if link.is_symlink() and not link.exists() and leads_to_nothing(link, core.ground.site.id):
                durable.remove_file(link)
        remove_empty([core.layout.manifests / name])


def _remove_marked(trees_dir: Path) -> None:
    shared = trees_dir / "shared"
    with suppress(OSError):
        if {*os.listdir(trees_dir)} <= {MARKER, shared.name} and not os.listdir(shared):
            shared.rmdir()
            durable.remove_file(trees_dir / MARKER)
            trees_dir.rmdir()


def unmake(core: Core, made: list[Path]) -> None:
    """Takes away a SITE without a release, with all that is in it, and a directory above it only if it is empty. What
    resists (NFS and FUSE hold the names of open locks) stays: why there is something to take away is the error to be
    told.

    Under `deploy.lock`. Another first deploy may be making SITE meanwhile, and waits for that lock: the lock goes last,
    in one step with all that is beside it, so that nobody takes a new one while this still removes.
    """
    private = core.layout.private
    within = [path for path in made if lies_in(path, core.root) and path != core.root and not lies_in(path, private)]
    for path in within:
        _remove(path)
    if private in made:
        away = core.root / durable.temporary_name(private.name)
        with suppress(OSError):
            durable.rename_over(private, away)
            _remove(away)
        if os.path.lexists(away):
            made.insert(0, away)  # to be removed once the locks are closed
    remove_empty(path for path in made if lies_in(core.root, path))


def _remove(path: Path) -> None:
    with suppress(OSError, Failed):
        stage.remove(path)


def remove_empty(made: Iterable[Path]) -> None:
    for path in made:
        try:
            path.rmdir()
        except OSError:
            continue


def save_cache(core: Core, name: str, work: TreeWork, made: Manifest) -> None:
    """Remembers what the source's files were when this version was made of them. Losing it costs time, nothing else:
    an error is none."""
    cache = work.cache(made)
    if cache is work.known:
        return
    with suppress(OSError):
        cache.save(core.layout.cache / name)
