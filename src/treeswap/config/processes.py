"""The processes of a treeswap.toml, and what is said of them all, as values of a site's settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from treeswap.errors import ConfigError
from treeswap.process import Process
from treeswap.release import Settings

from .values import duration, duration_text

MANAGERS = ("auto", "systemd", "systemd-user", "supervisor")
STOPS = ("first", "last")

Wrong = Callable[[str, object], ConfigError]
"""(key, problem) -> the error that names the file and the key."""


def settings_of(table: Mapping[str, Any], trees: Collection[str], wrong: Wrong) -> dict[str, Any]:
    """The settings that are about processes. `ConfigError`."""
    given: dict[str, Any] = {}
    if "processes" in table:
        given["processes"] = tuple(_process(name, keys, trees, wrong) for name, keys in table["processes"].items())
    if "process_manager" in table:
        given["process_manager"] = _one_of(MANAGERS, "process_manager", table["process_manager"], wrong)
    if "confirm_url" in table:
        given["confirm_url"] = _url(table["confirm_url"], wrong)
    if "keep_warm" in table:
        given["keep_warm"] = _seconds("keep_warm", table["keep_warm"], wrong)
    return given


def as_tables(settings: Settings) -> dict[str, Any]:
    """The same as a configuration has it, defaults included."""
    url = {} if settings.confirm_url is None else {"confirm_url": settings.confirm_url}
    processes = {process.name: _as_table(process) for process in settings.processes}
    return {
        "process_manager": settings.process_manager,
        **url,
        "keep_warm": duration_text(settings.keep_warm),
        **({"processes": processes} if processes else {}),
    }


def _process(name: str, keys: Mapping[str, Any], trees: Collection[str], wrong: Wrong) -> Process:
    key = f"processes.{name}"
    if "command" not in keys:
        raise wrong(key, 'has no command; say what to run: command = "gunicorn mysite.wsgi --bind unix:{socket}"')
    given = dict(keys)
    for which in ("deploy_timeout", "drain_timeout"):
        if which in keys:
            given[which] = _seconds(f"{key}.{which}", keys[which], wrong)
    if "stop" in keys:
        given["stop"] = _one_of(STOPS, f"{key}.stop", keys["stop"], wrong)
    if "env_files" in keys:
        given["env_files"] = tuple(keys["env_files"])
    process = Process(name, **given)
    try:
        process.check(trees)
    except ConfigError as error:
        where, colon, problem = error.message.partition(": ")
        named = colon and where.startswith(f"{key}.")
        told = wrong(where, problem) if named else wrong(key, error.message)
        told.hint = error.hint
        raise told
    return process


def _as_table(process: Process) -> dict[str, Any]:
    known = {key: value for key, value in process.data().items() if key != "name" and value is not None}
    for which in ("deploy_timeout", "drain_timeout"):
        known[which] = duration_text(known[which])
    return known


def _one_of(choices: tuple[str, ...], key: str, value: str, wrong: Wrong) -> str:
    if value not in choices:
        raise wrong(key, f"{value!r} is not one of {', '.join(choices)}")
    return value


def _seconds(key: str, value: object, wrong: Wrong) -> float:
    try:
        return duration(value)
    except ValueError as error:
        raise wrong(key, error)


def _url(text: str, wrong: Wrong) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isprintable() or " " in text:
        raise wrong("confirm_url", f'{text!r} is no URL; write for example "http://127.0.0.1/up"')
    return text
