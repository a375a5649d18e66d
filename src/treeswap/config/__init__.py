"""treeswap.toml, as values of the rooms below.

The file is checked as a whole, every environment in it included, before anything of it is used. Paths in it are
relative to the file. The environment variables that it may name are an argument: this room reads none by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from treeswap.errors import ConfigError, UsageError
from treeswap.release import Settings, Tree, inside, tree_name

from .commands import Wrong, parsed
from .processes import settings_of
from .values import duration, expand

if TYPE_CHECKING:
    from treeswap.site import Request, Site

PUBLIC_PATHS = "links"
"""What public paths are, and the only thing that they can be."""
MAINTENANCE = ("auto", "manual")


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration, resolved for one environment. `deploy_to` is None where SITE follows from the public paths. The
    addresses to `notify` may hold secrets."""

    file: Path
    env: str | None
    name: str | None
    deploy_to: Path | None
    settings: Settings
    trees: Mapping[str, Tree]
    sources: Mapping[str, Path]
    notify: tuple[str, ...] = ()

    def site(self, **adapters: Any) -> Site:
        """The site, which may not exist yet."""
        from treeswap.site import Pair, Site

        from .excludes import excluding

        adapters = {"excluding": excluding, **adapters}
        if self.deploy_to is not None:
            return Site.at(self.deploy_to, **adapters)
        pairs = [Pair(None, tree.path, name) for name, tree in self.trees.items() if tree.path is not None]
        if not pairs:
            raise ConfigError(
                f"{self.file} does not say where the site is", hint='set deploy_to = "DIRECTORY", or the path of a tree'
            )
        return Site.for_copy(pairs, None, **adapters)

    def without_sources(self) -> Config:
        """The same trees, but no new content for them."""
        return replace(self, sources={})

    def request(self, **flags: Any) -> Request:
        """New content for each tree that has a source. `flags` are those of `Request`."""
        from treeswap.site import Request

        return Request(sources=self.sources, trees=self.trees, settings=self.settings, name=self.name, **flags)


def load(file: Path, env: str | None, environ: Mapping[str, str]) -> Config:
    """The configuration in `file` for the environment `env`. `ConfigError`."""
    from . import schema

    raw = _parse(file)
    schema.check(raw, schema.ROOT, str(file))
    table, origins = schema.resolve(raw, env, environ, str(file))

    read = _Reading(file, Path(os.path.abspath(file)).parent, environ, origins)
    trees = table.get("trees", {})
    commands = {
        which: parsed(told, f"commands.{which}", read.directory, trees, read.wrong)
        for which, told in table.get("commands", {}).items()
    }
    sources = {name: read.path(f"trees.{name}.source", keys.get("source")) for name, keys in trees.items()}
    return Config(
        file=file,
        env=schema.chosen(raw, env),
        name=table.get("name"),
        deploy_to=read.path("deploy_to", table.get("deploy_to")),
        settings=_settings(table, trees, commands, read.wrong),
        trees={name: read.tree(name, keys) for name, keys in trees.items()},
        sources={name: source for name, source in sources.items() if source is not None},
        notify=read.addresses("notify", table.get("notify", [])),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file that is being read, and what its values stand for in it. `origins` are the keys that values come from."""

    file: Path
    directory: Path
    environ: Mapping[str, str]
    origins: Mapping[str, str]

    def wrong(self, key: str, problem: object) -> ConfigError:
        return ConfigError(f"{self.file}: {self.origins.get(key, key)}: {problem}")

    def path(self, key: str, text: str | None) -> Path | None:
        try:
            return None if text is None else self.directory / expand(text, self.environ)
        except ValueError as error:
            raise self.wrong(key, error)

    def tree(self, name: str, keys: Mapping[str, Any]) -> Tree:
        key = f"trees.{name}"
        try:
            tree_name(name)
        except UsageError as error:
            raise self.wrong(key, error.message)
        lists = {which: tuple(keys[which]) for which in ("shared", "exclude", "touch", "ignore") if which in keys}
        for which in ("shared", "touch"):
            for text in lists.get(which, ()):
                try:
                    inside(text)
                except ValueError as error:
                    raise self.wrong(f"{key}.{which}", error)
        return Tree(
            name,
            path=self.path(f"{key}.path", keys.get("path")),
            trees_dir=self.path(f"{key}.trees_dir", keys.get("trees_dir")),
            **lists,
        )

    def addresses(self, key: str, told: str | list[str]) -> tuple[str, ...]:
        given = (told,) if isinstance(told, str) else tuple(told)
        if not all(_is_address(address) for address in given):
            raise self.wrong(key, "each must be an address that begins with https:// or http://")
        return given


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def _parse(file: Path) -> dict[str, Any]:
    import tomllib

    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read", cause=error)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8", cause=error)
    except tomllib.TOMLDecodeError as error:
        last = f"at line {len(text.splitlines())}"
        raise ConfigError(f"{file} is not TOML: {str(error).replace('at end of document', last)}")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} has a number or a nesting beyond all measure", cause=error)


def _settings(
    table: Mapping[str, Any], trees: Mapping[str, Any], commands: Mapping[str, Any], wrong: Wrong
) -> Settings:
    given: dict[str, Any] = {**settings_of(table, trees, wrong), **commands}
    if "keep_releases" in table:
        given["keep_releases"] = table["keep_releases"]
        if table["keep_releases"] < 1:
            raise wrong("keep_releases", "must be at least 1")
    if "grace" in table:
        try:
            given["grace"] = duration(table["grace"])
        except ValueError as error:
            raise wrong("grace", error)
    if table.get("public_paths", PUBLIC_PATHS) != PUBLIC_PATHS:
        raise wrong("public_paths", f'{table["public_paths"]!r} is not supported; it must be "{PUBLIC_PATHS}"')
    if "group" in table:
        given["group"] = table["group"]
    if "maintenance" in table:
        given["maintenance"] = table["maintenance"]
        if table["maintenance"] not in MAINTENANCE:
            raise wrong("maintenance", f"must be one of {', '.join(MAINTENANCE)}, not {table['maintenance']!r}")
    return Settings(**given)
