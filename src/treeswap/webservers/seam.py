"""What a web server is asked for: a configuration for a site, and what is wrong with the one that it runs with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from treeswap.outcomes import Finding

from .watched import Watched

MAINTENANCE_URL = "/.treeswap-maintenance"
"""Where the maintenance page is found by nginx and Apache themselves; of no use to visitors."""


@dataclass(frozen=True, slots=True)
class Served:
    """What of a site is to be served, and how.

    `static` maps URLs, each with a slash at both ends, to trees; `processes` maps URLs to the names of sockets in
    SITE/current/run. `hidden` are the trees that are in neither. `retry_after` is in seconds.
    """

    root: Path
    host: str
    port: int = 80
    retry_after: int = 120
    static: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """What every configuration begins with."""
        lines = [
            f"# {self.host}: the site {self.root}, printed by treeswap.",
            "# All paths lead through SITE/current, so that no deploy has to change or reload anything here.",
        ]
        if self.hidden:
            lines.append(f"# Not served: {', '.join(self.hidden)}. To serve one: --static TREE=/URL/")
        return "\n".join(lines)

    def socket(self, name: str) -> str:
        return f"{self.root}/current/run/{name}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a web server reads files as."""

    uid: int
    gids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Running:
    """A web server that runs. `words` is what it was called with, `program` its executable, `reader` the user of the
    processes that answer requests; `environment` is empty where it may not be read."""

    server: str
    pid: int
    program: str
    words: tuple[str, ...]
    directory: Path
    reader: Reader
    environment: Mapping[str, str] = field(default_factory=dict)


class Unreadable(Exception):
    """A configuration that cannot be read from here. Its text says which file, and why."""


class WebServer(Protocol):
    """One kind of web server."""

    name: str
    """`nginx`, `apache` or `caddy`."""

    programs: tuple[str, ...]
    """What its processes are called."""

    def configuration(self, served: Served) -> str:
        """A ready configuration: static trees, processes, the maintenance page with 503, no connection kept to a
        process, links followed."""

    def inspect(self, running: Running, site: Watched) -> list[Finding]:
        """What in the running server's configuration breaks the promise, each with where it stands and the way out;
        one that is well if nothing does, and none if it does not serve the site. `Unreadable`."""
