"""Real web servers on loopback ports, each with a configuration directory of its own; ended by whoever started them."""

from __future__ import annotations

import grp
import http.client
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import wait_for

HOST = "site.example"
PROGRAMS = {"nginx": "nginx", "apache": "apache2", "caddy": "caddy"}
_MODULES = Path("/usr/lib/apache2/modules")
_APACHE = (
    "mpm_event",
    "authz_core",
    "alias",
    "rewrite",
    "headers",
    "dir",
    "mime",
    "proxy",
    "proxy_http",
    "proxy_fcgi",
    "proxy_balancer",
    "slotmem_shm",
    "lbmethod_byrequests",
    "setenvif",
)


def program(kind: str) -> str:
    """Where the server's program is; the test ends where it is nowhere."""
    found = shutil.which(PROGRAMS[kind], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None or (kind == "apache" and not _MODULES.is_dir()):
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PROGRAMS[kind]} is not installed")
        pytest.skip(f"{PROGRAMS[kind]} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def user() -> str:
    """Whom servers run as: under root somebody else, as everywhere."""
    return "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def group() -> str:
    return grp.getgrgid(pwd.getpwnam(user()).pw_gid).gr_name


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


class Front:
    """A server that runs. `file` is the part of its configuration that a test gave, `host` what is asked for."""

    def __init__(self, kind: str, room: Path, port: int, process: subprocess.Popen[bytes], file: Path) -> None:
        self.kind, self.room, self.port, self.process, self.file = kind, room, port, process, file
        self.host = HOST

    def ask(self, path: str, *, method: str = "GET", body: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Host": self.host})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()


@contextmanager
def running(kind: str, room: Path, port: int, text: str, outside: str = "") -> Iterator[Front]:
    """The server with this configuration, as a person would include it; `outside` is what stands around it: in nginx's
    http block, before Apache's virtual hosts."""
    words = [program(kind)]
    room.mkdir(exist_ok=True)
    for name in ("logs", "tmp"):
        (room / name).mkdir(exist_ok=True)
    if os.geteuid() == 0:
        for path in (room, room / "logs", room / "tmp"):
            shutil.chown(path, user())
    file = room / "site.conf"
    main = room / "main.conf"
    file.write_text(text)
    main.write_text(
        _MAINS[kind].format(
            room=room, port=port, user=user(), group=group(), file=file, outside=outside, modules=_loads()
        )
    )
    words += {
        "nginx": ["-c", str(main), "-e", f"{room}/logs/error"],
        "apache": ["-d", str(room), "-f", str(main), "-DFOREGROUND"],
        "caddy": ["run", "--config", str(main), "--adapter", "caddyfile"],
    }[kind]
    with (room / "logs/out").open("wb") as out:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=room,
            user=user() if kind == "caddy" and os.geteuid() == 0 else None,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(room)},
        )
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), f"{kind} listens")
        told = "".join(path.read_text(errors="replace") for path in (room / "logs").iterdir())
        assert process.poll() is None, told
        front = Front(kind, room, port, process, file)
        front.ask("/")  # the processes that answer are there, too
        yield front
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _loads() -> str:
    return "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _APACHE)


_MAINS = {
    "nginx": """\
daemon off;
user {user};
pid {room}/pid;
error_log {room}/logs/error;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    types {{ text/css css; text/html html; }}
    access_log off;
    client_body_temp_path {room}/tmp/body;
    proxy_temp_path {room}/tmp/proxy;
    fastcgi_temp_path {room}/tmp/fastcgi;
    uwsgi_temp_path {room}/tmp/uwsgi;
    scgi_temp_path {room}/tmp/scgi;
    {outside}
    include {file};
}}
""",
    "apache": """\
ServerName localhost
PidFile {room}/pid
ErrorLog {room}/logs/error
DefaultRuntimeDir {room}/tmp
Listen 127.0.0.1:{port}
{modules}
User {user}
Group {group}
ServerLimit 1
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
TypesConfig /dev/null
AddType text/css .css
AddType text/html .html
<Directory "/">
    AllowOverride None
    Require all denied
</Directory>
{outside}
Include {file}
""",
    "caddy": """\
{{
    admin off
    auto_https off
    default_bind 127.0.0.1
    storage file_system {room}/tmp
    {outside}
}}
import {file}
""",
}
