"""The keys of treeswap.toml: which there are, of what type, and how an environment overrides them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from treeswap.errors import ConfigError

TEXT = "a text"
WHOLE = "a whole number"
DURATION = 'a number of seconds or a text like "60s"'
TEXTS = "a list of texts"
ONE_OR_MORE = "a text or a list of texts"
TRUTH = "true or false"
COMMANDS = 'a list of commands: texts, or tables such as { run = "make" }'


@dataclass(frozen=True, slots=True)
class Each:
    """A table whose keys are names, with a table of this shape, or a value of this type, under each."""

    shape: Mapping[str, Any] | str


TREE: Mapping[str, Any] = {
    "source": TEXT,
    "path": TEXT,
    "trees_dir": TEXT,
    "shared": TEXTS,
    "exclude": TEXTS,
    "touch": TEXTS,
    "ignore": TEXTS,
}
PROCESS: Mapping[str, Any] = {
    "command": TEXT,
    "tree": TEXT,
    "env": Each(TEXT),
    "env_files": TEXTS,
    "health": TEXT,
    "deploy_timeout": DURATION,
    "drain_timeout": DURATION,
    "instances": WHOLE,
    "stop": TEXT,
}
COMMAND: Mapping[str, Any] = {
    "run": TEXT,
    "tree": TEXT,
    "writes": TEXTS,
    "where": TEXT,
    "exclusive": TRUTH,
    "timeout": DURATION,
}
OVERRIDABLE: Mapping[str, Any] = {
    "name": TEXT,
    "deploy_to": TEXT,
    "keep_releases": WHOLE,
    "grace": DURATION,
    "group": TEXT,
    "public_paths": TEXT,
    "process_manager": TEXT,
    "confirm_url": TEXT,
    "keep_warm": DURATION,
    "maintenance": TEXT,
    "notify": ONE_OR_MORE,
    "trees": Each(TREE),
    "processes": Each(PROCESS),
    "commands": {"build": COMMANDS, "migrate": COMMANDS, "after_switch": COMMANDS, "on_failure": COMMANDS},
}
ROOT: Mapping[str, Any] = {**OVERRIDABLE, "default_env": TEXT, "env": Each(OVERRIDABLE)}

_VARIABLE = re.compile(r"\$(\$?)\{([^{}]*)\}")


def check(table: Any, shape: Any, file: str, key: str = "") -> None:
    """Every key known, every value of its type. `ConfigError` names the key's whole path."""
    if isinstance(shape, str):
        if not _fits(table, shape):
            raise ConfigError(f"{file}: {key}: must be {shape}, not {_described(table)}")
        if any("\0" in text for text in (table if isinstance(table, list) else [table]) if isinstance(text, str)):
            raise ConfigError(f"{file}: {key}: must not contain a NUL")
        for number, item in enumerate(table if shape == COMMANDS else []):
            check(item, TEXT if isinstance(item, str) else COMMAND, file, f"{key}[{number}]")
        return
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: {key}: must be a table, not {_described(table)}")
    for name, value in table.items():
        path = f"{key}.{name}" if key else name
        if isinstance(shape, Each):
            check(value, shape.shape, file, path)
        elif name in shape:
            check(value, shape[name], file, path)
        else:
            raise _unknown(file, path, name, key, shape)


def chosen(raw: Mapping[str, Any], env: str | None) -> str | None:
    """The environment that applies."""
    default: str | None = raw.get("default_env")
    return env if env is not None else default


def resolve(
    raw: Mapping[str, Any], env: str | None, environ: Mapping[str, str], file: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """The table with its environment's overrides and its variables put in; and where each overridden key is written."""
    environments: Mapping[str, Any] = raw.get("env", {})
    name = chosen(raw, env)
    if name is None and environments:
        raise ConfigError(
            f"{file} has environments ({', '.join(environments)}) and none was chosen",
            hint="choose one with --env NAME or $TREESWAP_ENV, or set default_env",
        )
    if name is not None and name not in environments:
        known = ", ".join(environments) or "none"
        raise ConfigError(f"{file} has no environment {name!r}", hint=_nearest(name, environments, f"it has: {known}"))
    origins: dict[str, str] = {}
    table = {key: value for key, value in raw.items() if key not in ("env", "default_env")}
    if name is not None:
        table = _merged(table, environments[name], "", f"env.{name}", origins)
    return _filled(table, environ, file, "", origins), origins


def _fits(value: Any, kind: str) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    if kind == ONE_OR_MORE and isinstance(value, str):
        return True
    if kind in (TEXTS, ONE_OR_MORE):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == COMMANDS:
        return isinstance(value, list) and all(isinstance(item, str | dict) for item in value)
    if kind == TRUTH:
        return isinstance(value, bool)
    number = isinstance(value, int) and not isinstance(value, bool)
    return number if kind == WHOLE else number or isinstance(value, float | str)


def _described(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a text", int: "a number", float: "a number", dict: "a table"}
    if isinstance(value, list):
        return "a list" if all(isinstance(item, str) for item in value) else "a list with other things in it"
    return kinds.get(type(value), type(value).__name__)


def _unknown(file: str, path: str, name: str, parent: str, shape: Mapping[str, Any]) -> ConfigError:
    """The error for a key that does not exist, with the nearest that does: here, or elsewhere in the file."""
    prefix = f"{parent}." if parent else ""
    if near := get_close_matches(name, shape, 1):
        hint = f"did you mean {prefix}{near[0]}?"
    elif name in TREE:
        hint = f"{name} belongs to a tree: trees.NAME.{name}"
    elif name in PROCESS:
        hint = f"{name} belongs to a process: processes.NAME.{name}"
    elif name in ROOT:
        hint = f"{name} stands at the top of the file"
    else:
        hint = f"known here: {', '.join(shape)}"
    return ConfigError(f"{file}: unknown key {path}", hint=hint)


def _nearest(name: str, known: Mapping[str, Any], otherwise: str) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else otherwise


def _merged(
    base: Mapping[str, Any], over: Mapping[str, Any], key: str, written: str, origins: dict[str, str]
) -> dict[str, Any]:
    """`base` with what `over` says instead: tables key by key, everything else as a whole."""
    result = dict(base)
    for name, value in over.items():
        path, where = f"{key}.{name}".lstrip("."), f"{written}.{name}"
        if isinstance(value, dict):
            result[name] = _merged(base.get(name, {}), value, path, where, origins)
        else:
            result[name] = value
            origins[path] = where
    return result


def _filled(value: Any, environ: Mapping[str, str], file: str, key: str, origins: Mapping[str, str]) -> Any:
    """The value with `${VAR}` replaced in every text of it; `$${VAR}` stands for itself without the first dollar."""
    if isinstance(value, dict):
        return {
            name: _filled(item, environ, file, f"{key}.{name}".lstrip("."), origins) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_filled(item, environ, file, key, origins) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1]:
            return f"${{{match[2]}}}"
        if match[2] not in environ:
            raise ConfigError(
                f"{file}: {origins.get(key, key)}: the environment variable {match[2]} is not set",
                hint=f"set it, or write $${{{match[2]}}} to mean the text itself",
            )
        return environ[match[2]]

    return _VARIABLE.sub(variable, value)
