"""A site whose application runs for real: gunicorn, under a supervisord of the site's own."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import treeswap
from crowd import crowd

PROGRAM = [sys.executable, "-m", "treeswap"]
HERE = Path(__file__).parent
TREES = ("apps", "conf")
PYTHON = shlex.quote(sys.executable)
WEB = f"{PYTHON} -m gunicorn app:application --workers 2 --bind unix:{{socket}}"
CHECK = "test -S $TREESWAP_SOCKET && ! test -e sick && exit; echo not yet; exit 3"
CONFIGURATION = """
name = "example"
deploy_to = "{site}"
process_manager = "supervisor"
keep_releases = {keep}
grace = 0
{more}
[trees.apps]
source = "new/apps"
path = "live/apps"
[trees.conf]
source = "new/conf"
path = "live/conf"
[processes.web]
command = "{web}"
tree = "apps"
deploy_timeout = {deploy_timeout}
drain_timeout = 10
{of_web}
{rest}
"""


class Served:
    """`new/NAME` are the sources, `live/NAME` the public paths, `site` is SITE."""

    def __init__(self, root: Path) -> None:
        self.root, self.site_root = root, root / "site"
        (root / "live").mkdir()
        self.said: dict[str, object] = {}
        self.configure()

    # ------------------------------------------------------------ what there is to deploy

    def configure(self, **said: object) -> None:
        """What the treeswap.toml says besides what it always says, from now on."""
        self.said |= said
        defaults = {"more": "", "of_web": "", "rest": "", "web": WEB, "deploy_timeout": 20, "keep": 3}
        text = CONFIGURATION.format(**{**defaults, **self.said, "site": self.site_root})
        (self.root / "treeswap.toml").write_text(text)

    def version(self, text: str, **faults: bool) -> None:
        """All sources are of this version from now on, with these faults."""
        for name in TREES:
            shutil.rmtree(self.root / "new" / name, ignore_errors=True)
            (self.root / "new" / name).mkdir(parents=True)
            (self.root / "new" / name / "version").write_text(text)
        for program in ("app.py", "worker.py", "impostor.py"):
            shutil.copyfile(HERE / program, self.root / "new/apps" / program)
        (self.root / "new/apps/check").write_text(CHECK)
        for fault in faults:
            (self.root / "new/apps" / fault).touch()

    # ------------------------------------------------------------ verbs

    def run(self, *words: str, exits: int = 0) -> str:
        """Runs treeswap as a person does; gives what it told."""
        done = subprocess.run(
            [*PROGRAM, *words], cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == exits, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def deploy(self, text: str, *words: str, exits: int = 0, **faults: bool) -> str:
        self.version(text, **faults)
        return self.run("deploy", *words, exits=exits)

    @property
    def environ(self) -> dict[str, str]:
        return {name: text for name, text in os.environ.items() if "TREESWAP" not in name}

    @property
    def site(self) -> treeswap.Site:
        return treeswap.Site.at(self.site_root)

    # ------------------------------------------------------------ what is seen

    @property
    def current(self) -> str:
        return os.readlink(self.site_root / "current").removeprefix("releases/")

    def ask(self, path: str = "/") -> str:
        """What visitors see, as a web server asks for it."""
        return Visitor(self.site_root / "current/run/web.sock").get(path)

    def daemon(self) -> int | None:
        """The site's supervisord."""
        try:
            return int((self.site_root / ".treeswap/supervisor/supervisord.pid").read_text())
        except FileNotFoundError:
            return None

    def answers(self) -> bool:
        try:
            return bool(self.ask())
        except (OSError, AssertionError):
            return False

    def pids(self) -> dict[str, set[int]]:
        """The processes of all that runs, by unit."""
        manager = self.site.manager("supervisor")
        return {str(unit): set(manager.pids(unit)) for unit in manager.running()}

    def units(self) -> set[str]:
        """All that runs, as `NAME N of ID`."""
        return {str(unit) for unit in self.site.manager("supervisor").running()}

    def serves(self, text: str) -> None:
        """Code and files of this version answer, and the public paths show it; of it alone processes run."""
        assert self.ask().split() == [text] * 3
        assert [(self.root / "live" / name / "version").read_text() for name in TREES] == [text] * 2

    def clear(self) -> None:
        """Ends what the test started."""
        manager = self.site.manager("supervisor")
        for unit in manager.running():
            manager.stop(unit, 0)
        manager.remove()


class Visitor:
    """Whoever connects to a socket as a web server does, once for each request."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, path: str = "/") -> str:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        with closing(connection):
            connection.sock.connect(str(self._path))
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 200, f"{answer.status} {body}"
            return body


@dataclass(slots=True)
class Load:
    """What visitors met while something happened."""

    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def mixed(self) -> list[str]:
        return [answer for answer in self.answers if len(set(answer.split())) != 1]


@contextmanager
def load(served: Served, visitors: int = 3, path: str = "/") -> Iterator[Load]:
    """Visitors come without a pause, each one request after the other, until the block ends."""
    met = Load()
    visitor = Visitor(served.site_root / "current/run/web.sock")

    def visit() -> None:
        try:
            met.answers.append(visitor.get(path))
        except (OSError, AssertionError) as error:
            met.failures.append(f"{type(error).__name__}: {error}")

    with crowd(visit, visitors):
        yield met


@contextmanager
def front_door(served: Served, **says: str | None) -> Iterator[str]:
    """A web server before the site, as its URL. It passes on what the application answers; `release` is what it says
    instead of the application's X-Release (None: nothing)."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if (served.site_root / "maintenance/page.html").exists():
                self.send_error(503)
                return
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX)
            with closing(connection):
                connection.sock.connect(str(served.site_root / "current/run/web.sock"))
                connection.request("GET", self.path)
                answer = connection.getresponse()
                body = answer.read()
            self.send_response(answer.status)
            if release := says.get("release", answer.getheader("X-Release")):
                self.send_header("X-Release", release)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/up"
        finally:
            server.shutdown()
            serving.join()
