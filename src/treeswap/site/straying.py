"""Files in a release that no deploy brought: found before a switch takes them out of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from treeswap import strays
from treeswap.errors import (
    StraysFound,
    listed,
)
from treeswap.manifest import Manifest
from treeswap.release import Tree, Version

from . import sharing
from .core import Core


def check_strays(
    core: Core,
    leaving: Mapping[str, Version],
    trees: Mapping[str, Tree] | None = None,
    manifests: Mapping[str, Manifest] | None = None,
) -> None:
    """`StraysFound` if a switch would take files out of view that nobody sealed. `trees` are the site's as they will
    be: what a request makes shared is no stray any more. `manifests` are those that were read already."""
    found = find_strays(core, leaving, trees, manifests)
    if found:
        names = [f"{tree}/{path}" for tree, paths in found.items() for path in paths]
        first = next(iter(names))
        raise StraysFound(
            f"{len(names)} file{'s' if len(names) > 1 else ''} in the current release came from no deploy and would "
            f"vanish from view:\n{listed(names)}",
            hint=f"keep what must outlive releases with, for instance, --shared {first}; "
            "or leave them behind, in the old version, with --leave-strays",
        )


def strays_to_keep(core: Core, version: Version, manifest: Manifest) -> list[str]:
    """The strays for which a version is kept. What it has at a shared path is one, too, if somebody left it behind."""
    tree = core.trees.get(version.tree) or Tree(version.tree)
    all_of_it = {tree.name: replace(tree, shared=())}
    found = find_strays(core, {tree.name: version}, all_of_it, {tree.name: manifest}).get(tree.name, [])
    return [p for p in found if not _is_shared(p, tree) or sharing.is_left(core, tree, version, p)]


def find_strays(
    core: Core,
    versions: Mapping[str, Version],
    trees: Mapping[str, Tree] | None = None,
    manifests: Mapping[str, Manifest] | None = None,
) -> dict[str, list[str]]:
    """The strays of each of these versions, where there are any."""
    found = {}
    for name, version in versions.items():
        tree = (trees or core.trees).get(name) or Tree(name)
        if not core.layout.version(version).is_dir():
            continue
        sealed = (manifests or {}).get(name) or core.ground.records.manifest(version)
        paths = strays.find(core.layout.version(version), sealed, tree.ignore)
        if paths := [path for path in paths if not _is_shared(path, tree)]:
            found[name] = paths
    return found


def _is_shared(path: str, tree: Tree) -> bool:
    """Whether a path of a tree is one of its shared paths, or below one."""
    path = path.rstrip("/")
    return any(path == shared.rstrip("/") or path.startswith(shared.rstrip("/") + "/") for shared in tree.shared)
