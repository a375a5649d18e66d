"""From the pairs of a command line to a request: names, places and defaults filled in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from treeswap import places
from treeswap.errors import UsageError
from treeswap.release import Command, Settings, Tree, tree_name

from .core import Core
from .request import Pair, Request


def request_for(
    core: Core,
    pairs: Sequence[Pair],
    *,
    shared: Sequence[str] = (),
    exclude: Sequence[str] = (),
    keep: int | None = None,
    grace: float | None = None,
    group: str | None = None,
    after: Sequence[str] = (),
    **flags: object,
) -> Request:
    """The request of a `copy`. What is not given is as the site remembers it."""
    trees: dict[str, Tree] = {}
    sources: dict[str, Path] = {}
    for pair in pairs:
        tree = _tree(core, pair)
        if tree.name in trees:
            raise _twice(tree, trees[tree.name])
        if exclude:
            tree = replace(tree, exclude=tuple(exclude))
        trees[tree.name] = tree
        if pair.source is not None:
            sources[tree.name] = pair.source
    for name, paths in _shared_by_tree(shared, trees).items():
        trees[name] = _with_shared(trees[name], paths, sources.get(name))
    settings = _settings(core.settings, keep, grace, group, after)
    return Request(sources, trees, settings, name=core.name, **flags)  # type: ignore[arg-type]


def relative_path(text: str, what: str) -> str:
    """`text` as a path inside a tree; a slash at its end, which marks a directory, stays."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise UsageError(f"{what} {text!r} is not a path inside a tree", hint="write it relative to the tree: uploads/")
    return str(path) + ("/" if text.endswith("/") else "")


def completed(core: Core, tree: Tree) -> Tree:
    """A tree as configured, with its public path resolved and the place of its versions decided."""
    known = core.trees.get(tree.name)
    path = places.resolved(tree.path) if tree.path is not None else None
    trees_dir = tree.trees_dir
    if trees_dir is None and known is not None:
        trees_dir = known.trees_dir
    elif trees_dir is None and path is not None:
        trees_dir = places.default_trees_dir(path, tree.name, core.root)
    if trees_dir is not None:
        trees_dir = places.resolved(trees_dir) if trees_dir.parent.exists() else Path(os.path.abspath(trees_dir))
    shared = tuple(relative_path(text, "the shared path") for text in tree.shared)
    touch = tuple(relative_path(text, "the touched path") for text in tree.touch)
    return replace(tree, path=path, trees_dir=trees_dir, shared=shared, touch=touch)


def _tree(core: Core, pair: Pair) -> Tree:
    path = places.resolved(pair.path)
    known = next((tree for tree in core.trees.values() if tree.path == path), None)
    if known is not None:
        if pair.name not in (None, known.name):
            raise UsageError(
                f"{path} is the public path of {known.name} in this site, not of {pair.name}",
                hint=f"leave the name out, or write {known.name}=",
            )
        return known
    name = tree_name(pair.name or path.name)
    if name in core.trees:
        return replace(core.trees[name], path=path)
    return Tree(name, path, places.default_trees_dir(path, name, core.root))


def _twice(tree: Tree, other: Tree) -> UsageError:
    if tree.path == other.path:
        return UsageError(f"{tree.path} is named twice", hint="name each DEST once")
    return UsageError(
        f"{other.path} and {tree.path} would both be the tree {tree.name!r}",
        hint=f"name one of them: copy NAME=SRC:{tree.path}",
    )


def _shared_by_tree(shared: Sequence[str], trees: dict[str, Tree]) -> dict[str, list[str]]:
    by_tree: dict[str, list[str]] = {}
    for text in shared:
        name, slash, path = text.partition("/")
        if not slash or name not in trees:
            raise UsageError(
                f"--shared {text} names no tree of this deploy",
                hint=f"write --shared TREE/PATH, TREE being one of: {', '.join(trees)}",
            )
        by_tree.setdefault(name, []).append(relative_path(path, "the shared path"))
    return by_tree


def _with_shared(tree: Tree, paths: Sequence[str], source: Path | None) -> Tree:
    """The tree with more shared paths. One without a slash is a directory where there is a directory now."""
    shared = list(tree.shared)
    for path in paths:
        places_now = [root / path for root in (tree.path, source) if root is not None]
        text = path if path.endswith("/") or not any(p.is_dir() for p in places_now) else f"{path}/"
        if text.rstrip("/") not in [known.rstrip("/") for known in shared]:
            shared.append(text)
    return replace(tree, shared=tuple(shared))


def _settings(
    settings: Settings, keep: int | None, grace: float | None, group: str | None, after: Sequence[str]
) -> Settings:
    if keep is not None and keep < 1:
        raise UsageError("at least one release must be kept", hint="--keep 1")
    return replace(
        settings,
        keep_releases=settings.keep_releases if keep is None else keep,
        grace=settings.grace if grace is None else grace,
        group=settings.group if group is None else group,
        after_switch=tuple(Command(run) for run in after) or settings.after_switch,
    )
