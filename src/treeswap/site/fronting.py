"""The web server in front of a site: a configuration for it, and what is wrong with those that run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from treeswap.errors import UsageError
from treeswap.outcomes import Finding
from treeswap.process import Process
from treeswap.processes import Unit, socket_path
from treeswap.release import ReleaseId
from treeswap.webservers import SERVERS, Served, Watched, here
from treeswap.webservers.seam import Unreadable

from .core import Core

WHOLE_SITES = frozenset({"public_html", "htdocs", "www", "html", "public", "wwwroot"})
"""Names of trees that are served at / unless somebody says otherwise."""
ASSETS = frozenset({"static", "media", "assets"})
"""Names of trees that are served at /NAME/ unless somebody says otherwise. Any other may hold settings and secrets."""
_ANY = ReleaseId("0" * 14)
_URL = re.compile(r"/|/(?:[A-Za-z0-9._~-]+/)+")
_WRITABLE = re.compile(r"[A-Za-z0-9/._@+,=~-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def configuration(
    core: Core,
    server: str,
    *,
    static: Mapping[str, str] | None = None,
    processes: Mapping[str, str] | None = None,
    host: str | None = None,
    port: int = 80,
    retry_after: int = 120,
) -> str:
    """A ready configuration for the site. `static` maps trees, and `processes` processes with a socket, to URLs;
    without them names and the only process decide. `retry_after` is in seconds. `UsageError`."""
    if server not in SERVERS:
        raise UsageError(f"{server!r} is no web server that is known", hint=f"known are {', '.join(SERVERS)}")
    host = host or core.name
    if not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is no name of a host", hint="say which one visitors ask for: --host example.com")
    if not _WRITABLE.fullmatch(str(core.root)):
        raise UsageError(
            f"the path {core.root} cannot stand in a web server's configuration",
            hint="use a SITE with none but letters, digits and ._@+,=~- in its path",
        )
    shown = _static(core, static)
    proxied = _processes(core, processes)
    if taken := set(shown) & set(proxied):
        url = taken.pop()
        hint = f"give the tree another: --static {shown[url]}=/URL/"
        raise UsageError(f"{url} is both the tree {shown[url]}'s and a process's", hint=hint)
    if not shown and not proxied:
        raise UsageError(
            "nothing says what of the site is to be served", hint=f"say it: --static {next(iter(core.trees), 'TREE')}=/"
        )
    hidden = tuple(name for name in core.trees if name not in shown.values())
    return SERVERS[server].configuration(Served(core.root, host, port, retry_after, shown, proxied, hidden))


def findings(core: Core) -> Iterator[Finding]:
    """What breaks the promise in the configurations of the web servers that run here and serve the site."""
    watched = Watched(core.root, core.trees)
    for running in here(SERVERS.values()):
        try:
            yield from SERVERS[running.server].inspect(running, watched)
        except Unreadable as error:
            if os.path.exists(f"/proc/{running.pid}"):
                hint = "run it as a user who may read that, or as root: sudo treeswap check"
                yield Finding(running.server, None, f"process {running.pid}: {error}", hint)


def _static(core: Core, told: Mapping[str, str] | None) -> dict[str, str]:
    """Trees by URL."""
    if told:
        for name in told:
            if name not in core.trees:
                raise UsageError(f"the site has no tree {name!r}", hint=f"it has: {', '.join(core.trees) or 'none'}")
        return _by_url(told, "--static TREE=/URL/")
    running = {process.tree for process in core.settings.processes}
    found = {}
    for name, tree in core.trees.items():
        known = {name, Path(tree.path).name} if tree.path else {name}
        if name not in running and tree.path is not None and known & (WHOLE_SITES | ASSETS):
            found[name] = f"/{name}/" if known & ASSETS else "/"
    return _by_url(found, "--static TREE=/URL/")


def _processes(core: Core, told: Mapping[str, str] | None) -> dict[str, tuple[str, ...]]:
    """Names of sockets by URL."""
    defined = {process.name: process for process in core.settings.processes if process.has_socket}
    if told is None:
        told = {name: "/" if len(defined) == 1 or name == "web" else f"/{name}/" for name in defined}
    for name in told:
        if name not in defined:
            known = ", ".join(defined) or "none"
            raise UsageError(f"the site has no process {name!r} with a socket", hint=f"it has: {known}")
    return {url: _sockets(defined[name]) for url, name in _by_url(told, "--process NAME=/URL/").items()}


def _sockets(process: Process) -> tuple[str, ...]:
    units = [Unit("", Path("/"), _ANY, process.name, number) for number in range(1, process.instances + 1)]
    return tuple(socket_path(unit).name for unit in units)


def _by_url(told: Mapping[str, str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, url in told.items():
        if not _URL.fullmatch(url):
            raise UsageError(f"{url!r} is no URL here: it begins and ends with a slash", hint=option)
        if url in found:
            raise UsageError(f"{url} is both {found[url]}'s and {name}'s", hint=f"say which is where: {option}")
        found[url] = name
    return found
