"""A site with a web server in front, and a small program of its own for each release, on a socket in SITE/run/ID."""

from __future__ import annotations

import http.server
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import Bench
from treeswap.webservers import SERVERS, Served, Watched, here
from treeswap.webservers.seam import Running

from .servers import HOST, Front, free_port, running


class _App(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers every request with one text. Connections are kept for whoever wants to."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, text: str) -> None:
        self.text = text
        super().__init__(str(path), _Handler)
        os.chmod(path, 0o777)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, _App)
        data = self.server.text.encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        if self.path.startswith("/own"):
            self.send_header("X-Release", "the application's own")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, format: str, *args: object) -> None:
        pass


class Scene:
    """`kind` in front of a site with the trees apps and media."""

    def __init__(self, kind: str, bench: Bench, stack: ExitStack) -> None:
        self.kind, self.bench, self._stack = kind, bench, stack
        self.port = free_port()

    def release(self, text: str, *sockets: str) -> str:
        """Makes a release whose files and processes say `text`, and switches to it once they answer."""
        self.bench.tree("apps", {"settings.py": "SECRET"})
        self.bench.tree("media", {"a.css": text, "sub/index.html": text, "constant.css": "constant"})
        self.bench.stage()
        assert self.bench.outcome is not None
        id = self.bench.outcome.release or self.bench.current
        for name in sockets or ("web.sock",):
            self.app(f"{text} {name}" if sockets else text, self.bench.site_root / "run" / id / name)
        self.bench.switch(id)
        return id

    def app(self, text: str, path: Path) -> None:
        server = _App(path, text)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)

    def served(self, *sockets: str) -> Served:
        static = {"/static/": "media"}
        return Served(self.bench.site_root, HOST, self.port, 90, static, {"/": sockets or ("web.sock",)}, ("apps",))

    def printed(self, *sockets: str) -> str:
        return self.here(SERVERS[self.kind].configuration(self.served(*sockets)))

    def here(self, text: str) -> str:
        """The same on loopback only."""
        return text.replace(f"listen {self.port};", f"listen 127.0.0.1:{self.port};")

    @contextmanager
    def front(self, text: str | None = None, outside: str = "") -> Iterator[Front]:
        room = self.bench.root / "front"
        with running(self.kind, room, self.port, self.printed() if text is None else text, outside) as front:
            yield front

    @property
    def watched(self) -> Watched:
        return Watched(self.bench.site_root, self.bench.site.trees)

    def seen(self, front: Front) -> Running:
        """The server, as it is found on this machine."""
        return next(it for it in here(SERVERS.values()) if it.pid == front.process.pid)


@contextmanager
def scene(kind: str, bench: Bench) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(kind, bench, stack)
