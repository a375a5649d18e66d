"""The commands of a treeswap.toml: each a text, or a table that says more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from treeswap.errors import ConfigError
from treeswap.release import Command, inside

from .values import duration, duration_text

Wrong = Callable[[str, object], ConfigError]
"""(key, problem) -> the error that names where the key is written."""


def parsed(told: list[Any], key: str, directory: Path, trees: Collection[str], wrong: Wrong) -> tuple[Command, ...]:
    """The commands of one list, checked already for the types of their keys. `directory` is that of the file."""
    return tuple(
        Command(item) if isinstance(item, str) else _command(item, key, f"{key}[{number}]", directory, trees, wrong)
        for number, item in enumerate(told)
    )


def as_told(command: Command) -> str | dict[str, object]:
    """A command as a treeswap.toml has it."""
    told: dict[str, object] = {"run": command.run}
    if command.tree is not None:
        told["tree"] = command.tree
    if command.writes is not None:
        told["writes"] = list(command.writes)
    if command.local:
        told["where"] = "local"
    if command.exclusive:
        told["exclusive"] = True
    if command.timeout is not None:
        told["timeout"] = duration_text(command.timeout)
    return told if len(told) > 1 else command.run


def _command(
    told: Mapping[str, Any], which: str, key: str, directory: Path, trees: Collection[str], wrong: Wrong
) -> Command:
    if not told.get("run", "").strip():
        raise wrong(key, 'must say what to run: { run = "COMMAND" }')
    for only, list in (("writes", "commands.build"), ("exclusive", "commands.migrate")):
        if only in told and which != list:
            raise wrong(f"{key}.{only}", f"belongs to the commands of {list}")
    where = told.get("where", "host")
    if where not in ("host", "local"):
        raise wrong(f"{key}.where", f'must be "host" or "local", not {where!r}')
    for name in ("tree", "writes"):
        if where == "local" and name in told:
            raise wrong(f"{key}.{name}", "a local command runs beside the configuration, in no tree")
    tree = told.get("tree")
    if tree is not None and tree not in trees:
        raise wrong(f"{key}.tree", f"there is no tree {tree!r}")
    try:
        timeout = None if "timeout" not in told else duration(told["timeout"])
    except ValueError as error:
        raise wrong(f"{key}.timeout", error)
    return Command(
        run=told["run"],
        tree=tree,
        writes=None if "writes" not in told else tuple(_written(text, key, trees, wrong) for text in told["writes"]),
        exclusive=told.get("exclusive", False),
        timeout=timeout,
        local=where == "local",
        directory=directory if where == "local" else None,
    )


def _written(text: str, key: str, trees: Collection[str], wrong: Wrong) -> str:
    """A tree, or a path in one, without a slash at its end."""
    tree, _, path = text.rstrip("/").partition("/")
    if tree not in trees:
        raise wrong(f"{key}.writes", f"{text!r} is neither a tree nor a path in one: there is no tree {tree!r}")
    try:
        return f"{tree}/{inside(path)}" if path else tree
    except ValueError as error:
        raise wrong(f"{key}.writes", error)
