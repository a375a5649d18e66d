"""nginx: a configuration for a site, and what is wrong with the one that it runs with."""

from __future__ import annotations

import re
from pathlib import Path

from treeswap.outcomes import Finding

from . import nginx_rules, nginx_syntax, serving
from .asking import after, told_by
from .seam import MAINTENANCE_URL, Running, Served
from .watched import Watched

_HEAD = """\
# It belongs where http {{ }} includes it: /etc/nginx/sites-enabled/, or /etc/nginx/conf.d/ with a name in .conf.

# Empty unless the release that was current when the request came still is when the answer comes: then what was
# connected to in between was its process. An application that sends X-Release itself is believed.
map "$upstream_http_x_release:$treeswap_release:$realpath_root" $treeswap_answered {{
    default "";
    "~^:(?<id>[0-9]+):.*/releases/\\k<id>$" $id;
}}

# No connection to a process is kept: a kept one leads to the release before. WebSockets pass.
map $http_upgrade $treeswap_connection {{
    default upgrade;
    "" close;
}}
{upstreams}
server {{
    listen {port};
    server_name {host};

    # The release that is current now; this request's files all come from it.
    root {root}/current;
    set $treeswap_release "";
    if ($realpath_root ~ "/releases/([0-9]+)$") {{
        set $treeswap_release $1;
    }}

    # What the http block may say otherwise: no file is remembered, and links are followed.
    open_file_cache off;
    disable_symlinks off;

    # The maintenance page: while the file is there, everything is answered with 503.
    set $treeswap_maintenance "";
    if (-f {root}/maintenance/page.html) {{
        set $treeswap_maintenance on;
    }}
    if ($uri = {url}) {{
        set $treeswap_maintenance "";
    }}
    if ($treeswap_maintenance) {{
        return 503;
    }}
    error_page 503 {url};
    location = {url} {{
        internal;
        default_type text/html;
        alias {root}/maintenance/page.html;
        add_header Retry-After {retry_after} always;
        add_header Cache-Control no-store always;
    }}
"""
_STATIC = """
    location {url} {{
        alias {root}/releases/$treeswap_release/{tree}/;
        add_header X-Release $treeswap_release;
    }}
"""
_NOTHING = """
    # Nothing else: the root above holds all trees.
    location / {
        return 404;
    }
"""
_PROCESS = """
    location {url} {{
        proxy_pass {to};
        proxy_http_version 1.1;
        proxy_set_header Connection $treeswap_connection;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        add_header X-Release $treeswap_answered;
    }}
"""


class Nginx:
    name = nginx_rules.NAME
    programs: tuple[str, ...] = ("nginx",)

    def configuration(self, served: Served) -> str:
        root = str(served.root)
        upstreams, locations = "", ""
        for url, tree in served.static.items():
            locations += _STATIC.format(url=url, root=root, tree=tree)
        for url, names in served.processes.items():
            sockets = [f"unix:{served.socket(name)}" for name in names]
            to = f"http://{sockets[0]}"
            if len(sockets) > 1:
                group = re.sub(r"\W", "_", f"{served.host}_{names[0].removesuffix('.sock')}")
                to = f"http://{group}"
                upstreams += f"\nupstream {group} {{\n" + "".join(f"    server {it};\n" for it in sockets) + "}\n"
            locations += _PROCESS.format(url=url, to=to)
        if "/" not in {**served.static, **served.processes}:
            locations += _NOTHING
        head = _HEAD.format(
            root=root,
            port=served.port,
            host=served.host,
            url=MAINTENANCE_URL,
            retry_after=served.retry_after,
            upstreams=upstreams,
        )
        return f"{served.head}\n{head}{locations}}}\n"

    def inspect(self, running: Running, site: Watched) -> list[Finding]:
        built = told_by(running.program, ["-V"])
        main = self._main(running, built)
        configuration = nginx_syntax.read(main)
        shown = [place.directory for place in nginx_rules.places(configuration) if place.directory]
        sockets = nginx_rules.sockets(configuration, site)
        version = re.search(r"nginx version: \S+?/(\d+)\.(\d+)\.(\d+)", built)
        numbers = tuple(map(int, version.groups())) if version else None
        broken = nginx_rules.broken(configuration, site, numbers)
        return serving.findings(self.name, main, running.reader, site, shown, sockets, broken)

    @staticmethod
    def _main(running: Running, built: str) -> Path:
        """The file that its configuration begins in."""

        def chosen(flag: str, option: str, default: str) -> Path:
            told = re.search(rf"--{option}=(\S+)", built)
            return Path(after(running.words, flag) or (told[1] if told else default))

        prefix = running.directory / chosen("-p", "prefix", "/usr/local/nginx")
        return prefix / chosen("-c", "conf-path", "conf/nginx.conf")
