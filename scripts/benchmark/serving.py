"""Ways to deploy a site whose processes answer requests: the demonstration's, with nginx, gunicorn and Django."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

from treeswap.demo import example, front
from treeswap.demo.changing import Changing
from treeswap.demo.grounds import Grounds

from .launching import run

_WORKERS = 2  # as many as the example has under treeswap
_STOPS_WITHIN = 40.0  # seconds; gunicorn gives its workers 30

_NGINX = """\
upstream app_server {{ server unix:{socket} fail_timeout=0; }}
server {{
    listen {port};
    server_name 127.0.0.1;
    location /static/ {{ alias {root}/current/static/; }}
    location / {{
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Host $http_host;
        proxy_redirect off;
        proxy_pass http://app_server;
    }}
}}
"""
"""As gunicorn's documentation has it."""

_WITH_SOCKET = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does for a service that a socket unit of its own listens for."""


class Way:
    """At work in these grounds, whose `new` has what is deployed; `name` says how."""

    name: ClassVar[str]

    def __init__(self, place: Grounds, nginx: str) -> None:
        self.place = place
        self.nginx = nginx

    def serving(self, version: str) -> AbstractContextManager[int]:
        """The port at which this version is served, until others are deployed, while the block runs."""
        raise NotImplementedError

    def deploy(self, version: str) -> None:
        raise NotImplementedError


class Treeswap(Way):
    """`[processes.web]`: processes of the new release before the switch, and those of the old one drained after it."""

    name = "treeswap deploy"

    @contextmanager
    def serving(self, version: str) -> Iterator[int]:
        self.place.make("before")
        self.changing = Changing(self.place)
        self.changing.deploy(version, "--adopt")
        with self.changing.front(self.nginx) as port:
            yield port

    def deploy(self, version: str) -> None:
        self.changing.deploy(version)


class _ByHand(Way):
    """A directory for each version, `current` renamed, and one gunicorn that is started in `current` and told."""

    @contextmanager
    def serving(self, version: str) -> Iterator[int]:
        self.root, self.socket = self.place.work / "root", self.place.work / "gunicorn.sock"
        (self.root / "releases").mkdir(parents=True)
        example.make(self.place.work / "new")
        self.prepare()
        self.switch(version)
        port = front.free_port()
        text = _NGINX.format(socket=self.socket, port=port, root=self.root)
        self.start()
        try:
            with front.serving(self.nginx, self.place.work / "nginx", text, port):
                yield port
        finally:
            self.stop()

    def prepare(self) -> None:
        """What is done once, before gunicorn is started."""

    def deploy(self, version: str) -> None:
        self.switch(version)
        self.tell()

    def switch(self, version: str) -> None:
        """As scripts do it: copied in full, and one rename."""
        example.stamp(self.place.work / "new", version)
        copy = ["cp", "-a", self.place.work / "new", f"releases/{version}"]
        run([copy, ["ln", "-s", f"releases/{version}", "next"], ["mv", "-T", "next", "current"]], cwd=self.root)

    def tell(self) -> None:
        """Tells gunicorn that there is other code."""
        raise NotImplementedError

    def start(self) -> None:
        bind = ["--bind", f"unix:{self.socket}"]
        self.gunicorn = self.started([sys.executable, "-m", "gunicorn", *self.words(), *bind])

    def words(self) -> list[str]:
        return ["mysite.wsgi", "--workers", str(_WORKERS), "--chdir", str(self.root / "current/conf")]

    def started(self, command: list[str], *fds: int) -> subprocess.Popen[bytes]:
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("TREESWAP_", "MYSITE_"))}
        with (self.place.work / "gunicorn.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env={**clean, "HOME": str(self.place.work)},  # whatever gunicorn keeps for its user
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=fds,
                start_new_session=True,  # Ctrl-C is for us
            )

    def stop(self) -> None:
        """Told to end, and waited for, as by a service manager."""
        self.gunicorn.terminate()
        try:
            self.gunicorn.wait(_STOPS_WITHIN)
        finally:
            try:
                os.killpg(self.gunicorn.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class HangUp(_ByHand):
    """Not preloaded: with `--preload` gunicorn's documentation has HUP load no code."""

    name = "gunicorn HUP, chdir current"

    def tell(self) -> None:
        self.gunicorn.send_signal(signal.SIGHUP)


class HangUpThroughCurrent(HangUp):
    """Its settings name directories by paths through `current`, as those of a scattered site do, and as those of a
    Django before 3.1 did, whose BASE_DIR was no resolved path."""

    name = "gunicorn HUP, paths through current"

    def prepare(self) -> None:
        settings = self.place.work / "new/conf/mysite/settings.py"
        text = settings.read_text()
        assert ".resolve()" in text
        settings.write_text(text.replace(".resolve()", ".absolute()"))


class Restart(_ByHand):
    name = "restart of one service"

    def tell(self) -> None:
        self.stop()
        self.start()


class RestartBehindSocket(Restart):
    """The socket is not gunicorn's and stays, as with the two systemd units of gunicorn's documentation."""

    name = "restart, socket unit"

    @contextmanager
    def serving(self, version: str) -> Iterator[int]:
        with socket.socket(socket.AF_UNIX) as self.listener, super().serving(version) as port:
            yield port

    def prepare(self) -> None:
        self.listener.bind(str(self.socket))
        self.listener.listen(4096)  # systemd's own default, as far as net.core.somaxconn lets it

    def start(self) -> None:
        fd = self.listener.fileno()
        gunicorn = [sys.executable, "-m", "gunicorn", *self.words()]
        self.gunicorn = self.started([sys.executable, "-c", _WITH_SOCKET, str(fd), *gunicorn], fd)


WAYS: tuple[type[Way], ...] = (Treeswap, HangUp, HangUpThroughCurrent, Restart, RestartBehindSocket)


def lacks() -> str | None:
    """Why none of them can take part here; None if they can."""
    return None if front.program() else "nginx is not installed"
