"""Caddy: a configuration for a site, and what is wrong with the one that it runs with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from treeswap.outcomes import Finding

from . import caddy_rules, serving
from .asking import after, matching, text_of, told_by
from .directive import DEEPEST
from .seam import Running, Served, Unreadable
from .watched import Watched

_ADMIN = "http://127.0.0.1:2019/config/"
_PATIENCE = 5.0
_HEAD = """\
# It belongs in /etc/caddy/Caddyfile, or in a file that it imports. Without http:// and the port Caddy gets certificates
# by itself. It cannot tell which release a link leads to: X-Release is there where the application sends it; treeswap
# tells it its release in the environment, as TREESWAP_RELEASE_ID.
http://{host}:{port} {{
    # The maintenance page: while the file is there, everything is answered with 503.
    @maintenance file {{
        root {root}/maintenance
        try_files /page.html
    }}
    route {{
        handle @maintenance {{
            header Retry-After {retry_after}
            header Cache-Control no-store
            root * {root}/maintenance
            rewrite * /page.html
            method GET
            file_server {{
                status 503
            }}
        }}
"""
_STATIC = """\
        handle_path {url}* {{
            root * {root}/current/{tree}
            file_server
        }}
"""
_PROCESS = """\
        handle {matcher}{{
            # No connection to a process is kept: a kept one leads to the release before.
            reverse_proxy {to} {{
                transport http {{
                    keepalive off
                }}
            }}
        }}
"""


class Caddy:
    name = caddy_rules.NAME
    programs: tuple[str, ...] = ("caddy",)

    def configuration(self, served: Served) -> str:
        text = _HEAD.format(root=served.root, port=served.port, host=served.host, retry_after=served.retry_after)
        routes = {url: _STATIC.format(url=url, root=served.root, tree=tree) for url, tree in served.static.items()}
        for url, names in served.processes.items():
            to = " ".join(f"unix/{served.socket(name)}" for name in names)
            routes[url] = _PROCESS.format(matcher="" if url == "/" else f"{url}* ", to=to)
        # Of several routes the first that fits is taken: the longest URL has to come first.
        text += "".join(routes[url] for url in sorted(routes, key=len, reverse=True))
        return f"{served.head}\n{text}    }}\n}}\n"

    def inspect(self, running: Running, site: Watched) -> list[Finding]:
        told = after(running.words, "--config") or after(running.words, "-c")
        if told is None and "--resume" not in running.words and (running.directory / "Caddyfile").is_file():
            told = "Caddyfile"
        main = running.directory / told if told else Path(_ADMIN)
        configuration = self._adapted(running, main) if told else _asked()
        written = list(_lines(main)) if told else []

        def where(text: str) -> str:
            return next((f"{file}:{number}" for file, number, line in written if text in line), str(main))

        broken = caddy_rules.broken(configuration, site, where)
        shown, sockets = caddy_rules.shown(configuration), caddy_rules.sockets(configuration, site)
        return serving.findings(self.name, main, running.reader, site, shown, sockets, broken)

    @staticmethod
    def _adapted(running: Running, main: Path) -> Any:
        text = text_of(main)
        if main.suffix != ".json":
            words = ["adapt", "--config", str(main), "--adapter", after(running.words, "--adapter") or "caddyfile"]
            told = told_by(running.program, words, running.environment)
            text = next((line for line in told.splitlines() if line.startswith("{") and '"apps"' in line), told)
        try:
            return json.loads(text)
        except ValueError:
            raise Unreadable(f"{main} makes no sense: {text.strip()[-300:]}")


def _lines(file: Path, depth: int = 0) -> Iterator[tuple[Path, int, str]]:
    """Every line of a Caddyfile and of the files that it imports, with its number."""
    for number, line in enumerate(text_of(file).splitlines(), 1):
        yield file, number, line
        words = line.split()
        if words[:1] == ["import"] and len(words) > 1 and depth < DEEPEST:
            for inner in matching(str(file.parent / words[1])):
                if inner.is_file():  # what is imported may be a snippet, too
                    yield from _lines(inner, depth + 1)


def _asked() -> Any:
    """What a running Caddy says that it runs with."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(_ADMIN, timeout=_PATIENCE) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{_ADMIN} cannot be asked: {error}")
