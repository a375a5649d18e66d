"""Configurations written out, in the form that `load` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from treeswap.errors import UsageError
from treeswap.release import Settings, Tree

from . import PUBLIC_PATHS
from .commands import as_told
from .processes import as_tables
from .values import duration_text

if TYPE_CHECKING:
    from treeswap.site import Site

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_table(
    name: str | None,
    deploy_to: Path | None,
    settings: Settings,
    trees: Mapping[str, Tree],
    sources: Mapping[str, Path],
) -> dict[str, Any]:
    """A configuration as one table, defaults included."""
    return {
        **_told(name=name, deploy_to=deploy_to),
        "keep_releases": settings.keep_releases,
        "grace": duration_text(settings.grace),
        **_told(group=settings.group),
        "public_paths": PUBLIC_PATHS,
        **as_tables(settings),
        "maintenance": settings.maintenance,
        "trees": {
            tree.name: {
                **_told(source=sources.get(tree.name), path=tree.path, trees_dir=tree.trees_dir),
                "shared": list(tree.shared),
                "exclude": list(tree.exclude),
                "touch": list(tree.touch),
                "ignore": list(tree.ignore),
            }
            for tree in trees.values()
        },
        "commands": {
            which: [as_told(command) for command in getattr(settings, which)]
            for which in ("build", "migrate", "after_switch", "on_failure")
        },
    }


def dumps(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> str:
    """The table as TOML. `UsageError` where a path has bytes that are no text, which TOML cannot hold."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if not isinstance(value, Mapping)]
    blocks = ["\n".join(lines)] if lines else []
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            path = (*above, name)
            inner = dumps(value, path)
            has_own = any(not isinstance(item, Mapping) for item in value.values())
            blocks.append(f"[{'.'.join(map(_key, path))}]\n{inner}" if has_own else inner)
    return "\n\n".join(blocks)


def dump(site: Site) -> str:
    """What a site remembers, as a treeswap.toml for it. Where new content comes from is left to write in."""
    blocks = dumps(as_table(site.name, site.root, site.settings, site.trees, {})).split("\n\n")
    for number, block in enumerate(blocks):
        head, newline, rest = block.partition("\n")
        if head.startswith("[trees."):
            blocks[number] = f'{head}\n# source = "DIRECTORY"{newline}{rest}'
    return "\n\n".join(blocks) + "\n"


def _told(**values: object) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value.replace("${", "$${"))
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + " }"
    return json.dumps(value)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} has bytes that are not UTF-8, which a TOML file cannot hold")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
