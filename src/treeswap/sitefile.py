"""site.json: what a site is called, its trees with their public paths, its settings.

It is replaced in one durable step; a damaged one is named, and nothing is guessed from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from . import durable
from .envelope import (
    FORMAT,
    by_name,
    contents_or_none,
    count_of,
    file_of,
    list_of,
    matching,
    maybe,
    object_of,
    path_of,
    path_text,
    seconds_of,
    table_of,
    tables_of,
    text_of,
    texts_of,
    truth_of,
)
from .errors import NotASite
from .layout import Layout
from .process import Process
from .release import Command, Settings, Tree, inside, tree_name

_RESTORE = "restore it from a backup; the public paths serve what `current` names all the same"
_SITE_ID = re.compile(r"[0-9a-f]{32}")
_MAINTENANCE = re.compile(r"auto|manual")
_COMMANDS = ("build", "migrate", "after_switch", "on_failure")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """site.json: the site's identity, its trees with their public paths, and its settings."""

    id: str
    name: str
    trees: Mapping[str, Tree] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


def read_site(layout: Layout) -> SiteFile:
    """`NotASite`, `NewerFormat` or `Damaged` where there is none that can be used."""
    if (site := find_site(layout)) is None:
        raise NotASite(f"{layout.root} is not a site", hint="make one with `treeswap copy` or `treeswap init`")
    return site


def find_site(layout: Layout) -> SiteFile | None:
    """The same, or None where no site has been made yet."""
    try:
        data = contents_or_none(layout.site_json)
    except OSError as error:
        raise NotASite(f"{layout.root} cannot be read", cause=error)
    if data is None:
        return None
    return object_of(data, _site, f"the site's file {layout.site_json}", _RESTORE)


def write_site(layout: Layout, site: SiteFile) -> None:
    value = {
        "format": FORMAT,
        "id": site.id,
        "name": site.name,
        "trees": [
            {**asdict(tree), "path": path_text(tree.path), "trees_dir": path_text(tree.trees_dir)}
            for tree in site.trees.values()
        ],
        "settings": {**asdict(site.settings), **{list: _commands_told(site.settings, list) for list in _COMMANDS}},
    }
    durable.replace_file(layout.site_json, file_of(value, _site), 0o644)


# ---------------------------------------------------------------- from JSON to values, and back


def _site(value: dict[str, Any]) -> SiteFile:
    trees = by_name([_tree(tree) for tree in tables_of(value["trees"])], lambda tree: tree.name)
    settings = _settings(table_of(value["settings"]))
    return SiteFile(matching(_SITE_ID, value["id"]), text_of(value["name"]), trees, settings)


def _tree(value: dict[str, Any]) -> Tree:
    shared, touch = ([inside(path) for path in texts_of(value[key])] for key in ("shared", "touch"))
    return Tree(
        tree_name(text_of(value["name"])),
        path_of(value["path"]),
        path_of(value["trees_dir"]),
        tuple(shared),
        texts_of(value["exclude"]),
        tuple(touch),
        texts_of(value["ignore"]),
    )


def _settings(value: dict[str, Any]) -> Settings:
    return Settings(
        keep_releases=count_of(value["keep_releases"]),
        grace=seconds_of(value["grace"]),
        group=maybe(text_of, value["group"]),
        **{list: tuple(_command(command) for command in list_of(value.get(list, []))) for list in _COMMANDS},
        maintenance=matching(_MAINTENANCE, value.get("maintenance", Settings().maintenance)),
        processes=tuple(
            by_name(map(Process.of_data, tables_of(value.get("processes", []))), lambda process: process.name).values()
        ),
        process_manager=text_of(value.get("process_manager", "auto")),
        confirm_url=maybe(text_of, value.get("confirm_url")),
        keep_warm=seconds_of(value.get("keep_warm", 0)),
    )


def _command(value: object) -> Command:
    """A text is a command of which nothing else is said."""
    if isinstance(value, str):
        return Command(text_of(value))
    table = table_of(value)
    return Command(
        text_of(table["run"]),
        maybe(tree_name, table["tree"]),
        maybe(texts_of, table["writes"]),
        truth_of(table["exclusive"]),
        maybe(seconds_of, table["timeout"]),
        truth_of(table["local"]),
        path_of(table["directory"]),
    )


def _commands_told(settings: Settings, which: str) -> list[object]:
    commands: tuple[Command, ...] = getattr(settings, which)
    told = [{**asdict(command), "directory": path_text(command.directory)} for command in commands]
    return [c.run if c == Command(c.run) else table for c, table in zip(commands, told, strict=True)]
