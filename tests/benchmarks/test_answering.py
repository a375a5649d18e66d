"""Visitors of a site that is deployed: with real servers in each way, and with a small one that does it wrongly."""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark import answering, serving
from benchmark.answering import FIRST, Answered, answer, quantiles
from benchmark.launching import CommandFailed
from benchmark.serving import WAYS, HangUp, HangUpThroughCurrent, Way
from treeswap.demo import front
from treeswap.demo.grounds import grounds
from treeswap.demo.tracks import Track

_WINDOW = 0.3  # seconds in which a deploy is half done


@pytest.fixture(autouse=True)
def short_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets want them."""
    monkeypatch.setattr("tempfile.tempdir", "/tmp")


@pytest.fixture
def nginx() -> str:
    program = front.program()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed")
    return program


class AllAtOnce(Way):
    """One server that says which version it is of."""

    name = "all at once"

    @contextmanager
    def serving(self, version: str) -> Iterator[int]:
        self.page, self.file, self.status = [version] * 3, version, 200
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = way.page
                page = "".join(f'<dd id="{name}">{said}</dd>' for name, said in zip("abc", parts, strict=True))
                body = (page if self.path == "/" else way.file).encode()
                self.send_response(way.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()

    def deploy(self, version: str) -> None:
        self.page, self.file = [version] * 3, version


class TemplateFirst(AllAtOnce):
    name = "template first"

    def deploy(self, version: str) -> None:
        self.page = [self.page[0], version, version]
        time.sleep(_WINDOW)
        super().deploy(version)


class FileFirst(AllAtOnce):
    name = "file first"

    def deploy(self, version: str) -> None:
        self.file = version
        time.sleep(_WINDOW)
        super().deploy(version)


class Away(AllAtOnce):
    name = "away"

    def deploy(self, version: str) -> None:
        self.status = 502
        time.sleep(_WINDOW)
        super().deploy(version)
        self.status = 200


class Forgetful(AllAtOnce):
    name = "forgetful"

    def deploy(self, version: str) -> None:
        pass


class Failing(AllAtOnce):
    name = "failing"

    def deploy(self, version: str) -> None:
        raise CommandFailed("it ended with 1")


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch, nginx: str) -> dict[str, Answered]:
    monkeypatch.setattr(answering, "_PAUSE", 0.3)
    monkeypatch.setattr(answering, "WAYS", (AllAtOnce, TemplateFirst, FileFirst, Away, Forgetful, Failing))
    return {one.name: one for one in answer(2, lambda name: name != "nobody", lambda _: None)}


def test_what_visitors_meet_in_each_way(met: dict[str, Answered]) -> None:
    well = met["all at once"]
    assert (well.deploys, well.errors, well.mixed, well.absent) == (2, {}, 0, "")
    assert well.requests == 2 * well.visits > 0
    assert 0 < well.half <= well.most
    mixing = met["template first"]
    assert mixing.mixed > 0
    assert mixing.errors == {}
    assert mixing.longest > _WINDOW / 2
    apart = met["file first"]
    assert (apart.mixed, apart.errors) == (0, {})
    assert apart.straddled > 2 * answering.VISITORS
    assert apart.out_of_order > 0
    away = met["away"]
    assert away.mixed == 0
    assert list(away.errors) == ["502"]
    assert away.deploy is not None
    assert away.errors["502"] <= answering.VISITORS * 2 * (away.deploy.most / 0.02 + 2)  # however quickly they come
    assert met["forgetful"].absent == "failed: version 0 was served after deploy 2"
    assert met["failing"].absent == "failed: it ended with 1"


def test_without_nginx_all_ways_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "program", lambda: None)
    found = answer(1, lambda _: True, lambda _: None)
    assert [one.name for one in found] == [way.name for way in WAYS]
    assert {one.absent for one in found} == {"missing: nginx is not installed"}


def _asked(port: int, path: str) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as line:
        line.request("GET", path)
        return line.getresponse().read().decode()


def _says(port: int, version: str) -> bool:
    """Whether all parts of the site are of this version; waits for as long as it takes to start."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page = _asked(port, "/")
        parts = [f'<dd id="{name}">{version}' in page for name in ("code", "template", "static")]
        if all(parts) and _asked(port, "/static/version.txt").strip() == version:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.__name__)
def test_each_way_brings_the_new_version_and_leaves_nothing(kind: type[Way], nginx: str) -> None:
    with grounds() as place:
        way = kind(place, nginx)
        with way.serving(FIRST) as port:
            assert _says(port, FIRST)
            way.deploy("1")
            assert _says(port, "1")
    assert not place.work.exists()
    running = [_words(process) for process in Path("/proc").glob("[0-9]*")]
    assert [words for words in running if str(place.work).encode() in words] == []


def _words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


class NotYet(HangUp):
    """As it is between the switch and the signal."""

    def tell(self) -> None:
        pass


class NotYetThroughCurrent(NotYet, HangUpThroughCurrent):
    pass


def test_paths_through_current_mix_before_the_signal_and_resolved_ones_do_not(
    nginx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_WORKERS", 1)  # which has answered before: the others load the rest when they do
    said = {}
    for kind in (NotYet, NotYetThroughCurrent):
        with grounds() as place:
            way = kind(place, nginx)
            with way.serving(FIRST) as port:
                assert _says(port, FIRST)
                way.deploy("1")
                assert _asked(port, "/static/version.txt").strip() == "1"
                page = _asked(port, "/")
                said[kind] = ['<dd id="code">0' in page, '<dd id="static">0' in page]
    assert said == {NotYet: [True, True], NotYetThroughCurrent: [True, False]}


def test_quantiles_are_of_all_good_answers_together() -> None:
    tracks = [
        Track("a", "request", 0, 0, 0, (), (), (), waits=((1, 50), (3, 40))),
        Track("b", "request", 0, 0, 0, (), (), (), waits=((2, 9), (90, 1))),
    ]
    assert list(quantiles(tracks, 0.5, 0.99, 1.0)) == [1, 3, 90]
    assert list(quantiles([], 0.5)) == [0]
