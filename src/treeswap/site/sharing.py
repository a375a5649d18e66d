"""Shared paths, as a change finds them: in their place already, in what is served now, or nowhere.

What the release that is served has in itself at a path which the next one only has a link at would go out of view. It
is copied to where it is shared, at the seal, and once more just before the switch: programs go on writing to the old
place until then, and for as long as they like where the switch does not come.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from treeswap import durable
from treeswap.errors import (
    Damaged,
    DestinationRefused,
    PlaceRefused,
    StraysFound,
    UsageError,
    listed,
)
from treeswap.manifest import joined
from treeswap.release import Record, Tree, Version

from . import comparing, databases, homes
from .core import Core
from .homes import Copy
from .work import Work


@dataclass(frozen=True, slots=True)
class Coming:
    """A path that is `inside` the version which is served now, and where the next one has a link to `outside`. `room`
    holds the tree's versions."""

    tree: str
    path: str
    inside: Path
    outside: Path
    room: Path

    def __str__(self) -> str:
        return f"{self.tree}/{self.path}"


# ---------------------------------------------------------------- before anything is changed


def check(core: Core, work: Work) -> None:
    """Each shared path is there already, comes from what is live now, or is a directory that can be made."""
    adopting = {tree.name for tree in work.adopting}
    for name in work.request.trees:
        tree = work.site.trees[name]
        for shared in tree.shared:
            path = shared.rstrip("/")
            outside = core.layout.shared_of(tree) / path
            inside = _shown_now(core, work, tree, path)
            if inside is None:
                if not shared.endswith("/") and not os.path.lexists(outside):
                    raise PlaceRefused(
                        f"the shared file {outside} does not exist",
                        hint=f"put it there first: mkdir -p {outside.parent} && cp YOUR-FILE {outside}",
                    )
                continue
            there = os.path.lexists(outside)
            if there and name in adopting:
                raise DestinationRefused(
                    f"both {inside} and {outside} exist, and only one can be the shared {name}/{path}",
                    hint="move one of them away",
                )
            if not there and inside.is_dir() != shared.endswith("/"):
                kind = "directory" if inside.is_dir() else "file"
                raise UsageError(f"{inside} is a {kind}", hint="write a shared directory with a slash at its end")
            if name in adopting:
                databases.refuse_open(
                    inside, f"{name}/{path}", "share its directory instead, so that it moves with its journal; or "
                )
                work.moved.setdefault(name, []).append(shared)
    _looked(core, coming(core, work), leave_behind=work.request.leave_strays)


def _shown_now(core: Core, work: Work, tree: Tree, path: str) -> Path | None:
    """Where a shared path's content is served from now, if that is not its shared place yet."""
    if tree in work.adopting:
        assert tree.path is not None
        here = tree.path / path
    elif work.current is not None and (version := work.current.versions.get(tree.name)):
        here = core.layout.version(version) / path
    else:
        return None
    return here if os.path.lexists(here) and not here.is_symlink() else None


# ---------------------------------------------------------------- what is coming


def coming(core: Core, work: Work) -> list[Coming]:
    """What a deploy would take out of view, and is to be shared from then on."""
    served = work.current.versions if work.current is not None else {}
    trees = [work.site.trees[name] for name in work.new if name in served]
    return [
        found
        for tree in trees
        if tree not in work.adopting
        for shared in tree.shared
        for found in _coming(core, tree, served[tree.name], shared.rstrip("/"))
    ]


def coming_with(core: Core, trees: Mapping[str, Tree], leaving: Mapping[str, Version]) -> list[Coming]:
    """What goes out of view with these versions where the trees, as a sealed release has them, have links."""
    return [
        found
        for name, version in leaving.items()
        for path in trees[name].shared
        for found in _coming(core, trees[name], version, path)
    ]


def trees_of(core: Core, target: Record, names: Iterable[str]) -> dict[str, Tree]:
    """These trees of the site, their shared paths those that a sealed release has links at."""
    trees = [core.trees[name] for name in names]
    return {tree.name: replace(tree, shared=_links_of(core, tree, target.versions[tree.name])) for tree in trees}


def is_left(core: Core, tree: Tree, version: Version, path: str) -> bool:
    """Whether something at this path of a version is neither shared, nor older than what is."""
    return bool(left_behind(core, _coming(core, tree, version, path.rstrip("/"))))


def _coming(core: Core, tree: Tree, served: Version, path: str) -> Iterator[Coming]:
    inside = core.layout.version(served) / path
    if os.path.lexists(inside) and not inside.is_symlink():
        yield Coming(tree.name, path, inside, core.layout.shared_of(tree) / path, core.layout.versions(tree))


def _links_of(core: Core, tree: Tree, version: Version) -> tuple[str, ...]:
    """The paths at which a version has links to what is shared. Those of the site, where its manifest cannot tell."""
    try:
        directories = core.ground.records.manifest(version).directories
        return tuple(
            os.fsdecode(joined(path, name))
            for path, directory in directories.items()
            if b"\tshared\t" in directory.lines
            for name, entry in directory.entries().items()
            if (entry.kind, entry.origin) == ("l", "shared")
        )
    except Damaged:
        return tuple(shared.rstrip("/") for shared in tree.shared)


# ---------------------------------------------------------------- copying it


def bring(core: Core, found: Iterable[Coming], *, leave_behind: bool = False, sealing: bool = False) -> list[str]:
    """Copies what the served release has to where it is shared, as far as it is newer than what is there or not there;
    nothing that is there is removed. Durable, where a release is `sealing` by its sync; gives sentences for a person.

    `StraysFound` where both may have been written to: `leave_behind` leaves what is served in the old version then.
    """
    notes = []
    for one, copies in _looked(core, found, leave_behind=leave_behind):
        shared = f"shared/{one}"
        if [copy.outside for copy in copies] == [one.outside] and not copies[0].replaces:
            notes.append(f"copied {one.inside} to {shared}{_slash(one)}, which outlives releases from now on")
        else:
            notes.append(f"copied what is new in {one.inside} to {shared}{_slash(one)}: {_listed(one, copies)}")
        homes.copy_out(copies, one.room, sealing=sealing)
    return notes


def announce(core: Core, found: Iterable[Coming]) -> None:
    """Journals which of these are about to be made: until a release with a link to it was served, such a copy was
    written to by nobody. Lost with the power, that is a person's to decide. Under `switch.lock`."""
    for one in missing(found):
        core.ground.journal.append_loosely("copied", tree=one.tree, path=one.path)


def missing(found: Iterable[Coming]) -> list[Coming]:
    return [one for one in found if not os.path.lexists(one.outside)]


def left_behind(core: Core, found: Iterable[Coming]) -> list[str]:
    """What goes out of view where nothing is copied: the paths in the tree."""
    told = []
    for one in found:
        copies, apart = _compared(core, one)
        paths = (*(copy.inside for copy in copies), *apart)
        told += [str(Path(one.path) / path.relative_to(one.inside)) for path in paths]
    return told


def _looked(core: Core, found: Iterable[Coming], *, leave_behind: bool) -> list[tuple[Coming, list[Copy]]]:
    """What is to be copied. Refused is what must not be, or cannot be decided but by a person."""
    compared = [(one, *_compared(core, one)) for one in found]
    for one, copies, _ in compared:
        for copy in copies:
            databases.refuse_open_below(copy.inside, _name(one, copy.inside))
    apart = [(one, path) for one, _, paths in compared for path in paths]
    if apart and not leave_behind:
        one, path = apart[0]
        raise StraysFound(
            f"{len(apart)} path{'s' if len(apart) > 1 else ''} in the current release would vanish from view, and what "
            f"is shared in that place is something else:\n{listed([_name(*each) for each in apart])}",
            hint=f"keep what is in view with, for instance, cp -a {path} {one.outside / path.relative_to(one.inside)}; "
            "or leave it behind, in the old version, with --leave-strays",
        )
    return [(one, copies) for one, copies, _ in compared if copies]


def _compared(core: Core, one: Coming) -> tuple[list[Copy], list[Path]]:
    return comparing.compare(one.inside, one.outside, is_ours=_is_unused(core, one))


def _is_unused(core: Core, one: Coming) -> bool:
    """Whether what is shared was copied from what was served, and no release that has a link to it was served since. A
    release that is gone may have been one."""
    history = core.ground.history()
    since = history.copied.get((one.tree, one.path))
    if since is None:
        return False
    records, _ = core.ground.records.readable()
    return not any(id not in records or _has_link(core, records[id], one) for id in history.served[since:])


def _has_link(core: Core, record: Record, one: Coming) -> bool:
    version = record.versions.get(one.tree)
    return version is not None and durable.leads_through(core.layout.version(version) / one.path, str(one.outside))


def _name(one: Coming, inside: Path) -> str:
    return str(Path(one.tree, one.path) / inside.relative_to(one.inside))


def _listed(one: Coming, copies: Sequence[Copy]) -> str:
    names = [_name(one, copy.inside) for copy in copies]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _slash(one: Coming) -> str:
    return "/" if one.inside.is_dir() else ""
