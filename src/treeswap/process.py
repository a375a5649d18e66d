"""The value of a process: a long-running program of the application, as a release's record keeps it. No disk here.

What may be written into a command, into a value of `env` and into the name of an env file, and is filled in for each
release:

{release}   SITE/releases/ID          {site}      SITE
{socket}    SITE/run/ID/NAME.sock     {instance}  1, 2, …
{NAME}      the real directory of the release's version of the tree NAME
{{  }}      a brace
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .errors import ConfigError

FIXED = ("release", "socket", "site", "instance")
"""What can be filled in whatever the trees are called. A tree of one of these names is {release}/NAME."""
LONGEST_SOCKET = 107
"""Bytes of the path of a unix socket: sun_path of unix(7), less its final NUL."""
HEALTH_PATH = "/up"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_THROUGH_CURRENT = re.compile(r"(?<![\w.-])current/|/current(?![\w.-])")
_URL = re.compile(r"https?://\S+")
_SOCKET = re.compile(r"\{socket\}|TREESWAP_SOCKET")


@dataclass(frozen=True, slots=True)
class Process:
    """One program, of which each release has its own.

    `command` is split into words as a shell would, and run without one. `tree` is the tree whose version it runs in
    (None: in the release's directory). `env` are additions to its environment, `env_files` files of more, relative to
    where it runs; they are read at each start and kept nowhere. `health` is a path that answers over the socket, or a
    command; None is `/up` where there is a socket. The timeouts are seconds: until it is healthy, and until it has to
    be gone. `stop` says when those of the release before end, where there is no socket: before these start, or after.
    """

    name: str
    command: str
    tree: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_files: tuple[str, ...] = ()
    health: str | None = None
    deploy_timeout: float = 30.0
    drain_timeout: float = 30.0
    instances: int = 1
    stop: Literal["first", "last"] = "last"

    @property
    def has_socket(self) -> bool:
        """Whether it is told of a socket: its command or `env` says `{socket}` or `TREESWAP_SOCKET`."""
        return any(_SOCKET.search(text) for text in (self.command, *self.env, *self.env.values()))

    @property
    def health_path(self) -> str | None:
        """What to ask its socket for, if that is how its health is seen."""
        if not self.has_socket:
            return None
        health = self.health or HEALTH_PATH
        return health if health.startswith("/") and len(health.split()) == 1 else None

    @property
    def health_command(self) -> str | None:
        """What to run, if that is how its health is seen; filled in as the command is."""
        return self.health if self.health_path is None else None

    def check(self, trees: Collection[str]) -> None:
        """`ConfigError` for what could not run, or would not keep to its release, in a site with these trees."""
        where = f"processes.{self.name}"
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} cannot name a process: letters, digits, '_' and '-' only, at most 40",
                hint="choose another name",
            )
        if self.tree is not None and self.tree not in trees:
            raise ConfigError(
                f"{where}.tree: there is no tree {self.tree!r}", hint=f"the trees are: {', '.join(trees) or 'none'}"
            )
        if self.instances < 1:
            raise ConfigError(f"{where}.instances: must be at least 1", hint="leave the process out to have none")
        for key, text in self._texts():
            self._check_text(f"{where}.{key}", text, trees)
        for variable in self.env:
            if not _VARIABLE.fullmatch(variable):
                raise ConfigError(
                    f"{where}.env: {variable!r} cannot name a variable", hint="letters, digits and '_' only"
                )
        if not words(self.command, f"{where}.command"):
            raise ConfigError(f"{where}.command: is empty", hint="say what to run")

    def _texts(self) -> list[tuple[str, str]]:
        """Everything that is filled in, and its key."""
        env = [(f"env.{name}", text) for name, text in self.env.items()]
        files = [("env_files", text) for text in self.env_files]
        health = [("health", self.health_command)] if self.health_command else []
        return [("command", self.command), *env, *files, *health]

    @staticmethod
    def _check_text(where: str, text: str, trees: Collection[str]) -> None:
        if _THROUGH_CURRENT.search(_URL.sub("", text)):
            raise ConfigError(
                f"{where}: {text!r} names current/, which is another release after the next switch",
                hint="name what is in the process's own release: {release}/NAME, or {NAME} for a tree",
            )
        fill(text, dict.fromkeys((*FIXED, *trees), ""), where)

    def data(self) -> dict[str, Any]:
        """The definition as plain JSON data."""
        return {**asdict(self), "env": dict(self.env), "env_files": list(self.env_files)}

    @classmethod
    def of_data(cls, value: Mapping[str, Any]) -> Process:
        """The definition that `data` gave. `KeyError` or `ValueError` for anything else."""
        stop = _kind(value["stop"], str)
        if stop not in ("first", "last"):
            raise ValueError(f"{stop!r:.80} is neither first nor last")
        return cls(
            name=_named(value["name"]),
            command=_kind(value["command"], str),
            tree=None if value["tree"] is None else _kind(value["tree"], str),
            env={_kind(name, str): _kind(text, str) for name, text in _kind(value["env"], dict).items()},
            env_files=tuple(_kind(text, str) for text in _kind(value["env_files"], list)),
            health=None if value["health"] is None else _kind(value["health"], str),
            deploy_timeout=_seconds(value["deploy_timeout"]),
            drain_timeout=_seconds(value["drain_timeout"]),
            instances=_kind(value["instances"], int),
            stop="first" if stop == "first" else "last",
        )


def words(command: str, where: str) -> list[str]:
    """A command's words, as a shell splits them. `ConfigError` names `where`."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"{where}: {command!r} cannot be split into words", hint="close its quotes", cause=error)


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """The text with what stands in braces filled in. `ConfigError` names `where` and what there is no value for."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if match[1] not in values:
            known = ", ".join(f"{{{name}}}" for name in values)
            raise ConfigError(
                f"{where}: nothing is known as {match[0]}",
                hint=f"known are {known}; write {{{match[0]}}} for the text itself",
            )
        return values[match[1]]

    return _BRACES.sub(value, text)


def _named(value: object) -> str:
    name: str = _kind(value, str)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r:.80} names no process")
    return name


def _kind(value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and "\0" in value):
        raise ValueError(f"{value!r:.80} is not what belongs there")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        raise ValueError(f"{value!r:.80} are no seconds")
    return float(value)
