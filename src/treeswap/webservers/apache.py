"""Apache: a configuration for a site, and what is wrong with the one that it runs with."""

from __future__ import annotations

import re
from pathlib import Path

from treeswap.outcomes import Finding

from . import apache_rules, serving
from .apache_syntax import Reading
from .asking import after, told_by
from .seam import MAINTENANCE_URL, Running, Served
from .watched import Watched

_HEAD = """\
# It belongs in /etc/apache2/sites-enabled/. It needs the modules alias, headers, rewrite{proxies}:
#     a2enmod alias headers rewrite{proxies}
# Apache cannot tell which release a link leads to. X-Release is there where the application sends it:
# treeswap tells it its release in the environment, as TREESWAP_RELEASE_ID.
<VirtualHost *:{port}>
    ServerName {host}

    # Public paths are links. SymLinksIfOwnerMatch would do only where every link and what it leads to are one user's.
    <Directory "{root}">
        Options FollowSymLinks
        AllowOverride None
    </Directory>

    # The maintenance page: while the file is there, everything is answered with 503.
    <Directory "{root}/maintenance">
        Require all granted
    </Directory>
    RewriteEngine On
    RewriteCond "%{{REQUEST_URI}}" "!={url}"
    RewriteCond "{root}/maintenance/page.html" -f
    RewriteRule "^" "-" [R=503,L]
    ErrorDocument 503 {url}
    Alias "{url}" "{root}/maintenance/page.html"
    Header always set Retry-After {retry_after} "expr=%{{REQUEST_STATUS}} == 503 && -f '{root}/maintenance/page.html'"
    Header always set Cache-Control no-store "expr=%{{REQUEST_STATUS}} == 503 && -f '{root}/maintenance/page.html'"
"""
_STATIC = """
    <Directory "{directory}">
        Require all granted
    </Directory>
    {maps}
"""
_PROXIES = """
    # No connection to a process is kept: a kept one leads to the release before.
    ProxyPreserveHost On
    RequestHeader set X-Forwarded-Proto expr=%{{REQUEST_SCHEME}}
    ProxyPass "{url}" "!"
"""


class Apache:
    name = apache_rules.NAME
    programs: tuple[str, ...] = ("apache2", "httpd")

    def configuration(self, served: Served) -> str:
        proxies = " proxy proxy_http" if served.processes else ""
        if any(len(names) > 1 for names in served.processes.values()):
            proxies += " proxy_balancer lbmethod_byrequests"
        text = _HEAD.format(
            root=served.root,
            port=served.port,
            host=served.host,
            url=MAINTENANCE_URL,
            retry_after=served.retry_after,
            proxies=proxies,
        )
        # Of several aliases the first that fits is taken: the longest URL has to come first.
        for url, tree in sorted(served.static.items(), key=lambda it: -len(it[0])):
            directory = f"{served.root}/current/{tree}"
            maps = f'DocumentRoot "{directory}"' if url == "/" else f'Alias "{url}" "{directory}/"'
            text += _STATIC.format(directory=directory, maps=maps)
        if served.processes:
            text += _PROXIES.format(url=MAINTENANCE_URL)
            text += "".join(f'    ProxyPass "{url}" "!"\n' for url in served.static if url != "/")
            for url, names in sorted(served.processes.items(), key=lambda it: -len(it[0])):
                text += self._process(served, url, names)
        return f"{served.head}\n{text}</VirtualHost>\n"

    @staticmethod
    def _process(served: Served, url: str, names: tuple[str, ...]) -> str:
        ways = [f'"unix:{served.socket(name)}|http://{name.removesuffix(".sock")}.{served.host}' for name in names]
        if len(ways) == 1:
            return f'    ProxyPass "{url}" {ways[0]}{url}" disablereuse=On retry=0\n'
        group = "balancer://" + re.sub(r"[^a-z0-9]+", "-", f"{names[0].removesuffix('.sock')}-{served.host}".lower())
        members = "".join(f'        BalancerMember {way}" disablereuse=On retry=0\n' for way in ways)
        return f'    <Proxy "{group}">\n{members}    </Proxy>\n    ProxyPass "{url}" "{group}{url}"\n'

    def inspect(self, running: Running, site: Watched) -> list[Finding]:
        built = told_by(running.program, ["-V"], running.environment)
        root = running.directory / (after(running.words, "-d") or self._told(built, "HTTPD_ROOT", "/etc/apache2"))
        main = root / (after(running.words, "-f") or self._told(built, "SERVER_CONFIG_FILE", "apache2.conf"))
        configuration = Reading(root, dict(running.environment)).file(main)
        shown = apache_rules.shown(configuration)
        sockets = apache_rules.sockets(configuration, site)
        broken = apache_rules.broken(configuration, site)
        return serving.findings(self.name, main, running.reader, site, shown, sockets, broken)

    @staticmethod
    def _told(built: str, name: str, default: str) -> Path:
        told = re.search(rf'{name}="([^"]+)"', built)
        return Path(told[1] if told else default)
