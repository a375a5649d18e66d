"""What in a configuration of Caddy, as JSON, breaks the promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from treeswap.outcomes import Finding

from .watched import Watched, warning

NAME = "caddy"
Where = Callable[[str], str]
"""Where a text stands in what a person wrote."""


def broken(configuration: object, site: Watched, where: Where) -> list[Finding]:
    """A warning for each rule that is broken, once."""
    found: dict[Finding, None] = {}
    for text in _texts(configuration):
        told = site.nailed(NAME, [text], where(text))
        found |= {told: None} if told else {}
    for server in _objects(configuration):
        if "listen" not in server or "routes" not in server:
            continue
        roots = [root for root in shown(server) if site.served(root)]
        for proxy in _objects(server):
            if proxy.get("handler") == "reverse_proxy":
                found |= dict.fromkeys((*_kept(proxy, site, where), *_php(proxy, roots, site, where)))
    return list(found)


def shown(configuration: object) -> list[str]:
    """The directories that it serves files from."""
    return [value for it in _objects(configuration) if isinstance(value := it.get("root"), str)]


def sockets(configuration: object, site: Watched) -> list[str]:
    """The sockets of the site that it connects to."""
    return sorted({path for it in _objects(configuration) for path in _dialled(it) if site.touched(path)})


def _kept(proxy: dict[str, Any], site: Watched, where: Where) -> Iterator[Finding]:
    transport = proxy.get("transport", {})
    closes = transport.get("keep_alive", {}).get("enabled") is False or transport.get("protocol") == "fastcgi"
    for upstream in proxy.get("upstreams", []):
        for path in _dialled(upstream):
            if site.touched(path) and not closes:
                yield warning(
                    NAME,
                    f"{where(path)}: reverse_proxy keeps connections to the processes of the release before",
                    "put into it: transport http { keepalive off }",
                )


def _php(proxy: dict[str, Any], roots: list[str], site: Watched, where: Where) -> Iterator[Finding]:
    transport = proxy.get("transport", {})
    if transport.get("protocol") != "fastcgi" or transport.get("resolve_root_symlink"):
        return
    for root in [own for own in [transport.get("root")] if own] or roots:
        if site.served(root):
            yield warning(
                NAME,
                f"{where(root)}: php_fastcgi tells PHP the path through current, and files of two releases run",
                "put into php_fastcgi: resolve_root_symlink",
            )


def _dialled(upstream: dict[str, Any]) -> Iterator[str]:
    dial = upstream.get("dial")
    if isinstance(dial, str) and dial.startswith("unix/"):
        yield "/" + dial.removeprefix("unix/").lstrip("/")


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
