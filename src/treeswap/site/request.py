"""What a deploy is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from treeswap.release import Settings, Tree

if TYPE_CHECKING:
    from treeswap.sources import Directory


@dataclass(frozen=True, slots=True)
class Pair:
    """One SRC:DEST. `path` is DEST as given; `source` is None where a directory is only adopted."""

    source: Path | None
    path: Path
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """New content for some trees of a site, and what was agreed to.

    `trees` defines every tree that the request names, with or without a source; the site's other trees stay as they
    are. `sources` says where a tree's new content comes from; a tree without one keeps its version. `adopt` and `add`
    are a person's consent to turn live directories into public paths, and to let new trees join a site with releases.
    With `present_only` a tree of which there is nothing yet is left to a later deploy. Without `build` no build command
    runs.
    """

    sources: Mapping[str, Path | Directory]
    trees: Mapping[str, Tree] = field(default_factory=dict)
    settings: Settings | None = None
    name: str | None = None
    label: str | None = None
    revision: str | None = None
    adopt: bool = False
    add: bool = False
    force: bool = False
    leave_strays: bool = False
    allow_gap: bool = False
    rehash: bool = False
    present_only: bool = False
    build: bool = True
