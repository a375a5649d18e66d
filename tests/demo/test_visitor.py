"""Visitors themselves: whether they would notice what must not happen. Real requests, to a server that may be told to
answer wrongly."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from treeswap.demo.tracks import Track
from treeswap.demo.visitor import PASS, visit

PAGE = '<dd id="code">{}</dd><dd id="template"> {} </dd><dd id="static">{}</dd>'
Said = Callable[[int], tuple[int, dict[str, str], str]]
"""What the page is answered with: status, headers and body, by how often it was asked for."""


@contextmanager
def server(page: Said) -> Iterator[str]:
    asked = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = page(next(asked)) if self.path == "/" else (200, {"X-Release": "A"}, "1\n")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        serving = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield str(made.server_port)
        finally:
            made.shutdown()
            serving.join()


def seen(page: Said, passes: int = 20) -> Track:
    left = itertools.chain(itertools.repeat(False, passes), itertools.repeat(True))
    with server(page) as address:
        return visit("visitor", address, lambda: next(left))


def well(_: int) -> tuple[int, dict[str, str], str]:
    return 200, {"X-Release": "A"}, PAGE.format(1, 1, 1)


def test_what_is_of_one_release_is_well() -> None:
    track = seen(well)
    assert (track.lookups, track.passes, track.failed, track.mixed) == (20 * len(PASS), 20, 0, 0)
    assert [stretch.version for stretch in track.stretches] == ["1"]
    assert sum(count.requests for count in track.counts) == track.lookups
    assert track.named == {"A": "1"}


@pytest.mark.parametrize("parts", [(2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_a_page_of_two_versions_is_mixed(parts: tuple[int, int, int]) -> None:
    track = seen(lambda number: (200, {"X-Release": "A"}, PAGE.format(*parts)) if number == 7 else well(number))
    assert (track.failed, track.mixed) == (0, 1)


def test_another_version_under_the_same_name_is_mixed() -> None:
    track = seen(lambda number: (200, {"X-Release": "A"}, PAGE.format(2, 2, 2)) if number == 7 else well(number))
    assert (track.failed, track.mixed) == (0, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((502, {"X-Release": "A"}, PAGE.format(1, 1, 1)), id="status"),
        pytest.param((200, {}, PAGE.format(1, 1, 1)), id="no release"),
        pytest.param((200, {"X-Release": "A"}, "1"), id="no page"),
        pytest.param((200, {"X-Release": "A", "Connection": "close"}, ""), id="nothing"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(answer: tuple[int, dict[str, str], str]) -> None:
    track = seen(lambda number: answer if number == 7 else well(number))
    assert (track.failed, track.mixed) == (1, 0)
    assert len(track.failures) == 1


def test_a_visit_over_a_switch_is_told() -> None:
    def page(number: int) -> tuple[int, dict[str, str], str]:
        return (200, {"X-Release": "B"}, PAGE.format(2, 2, 2)) if number == 7 else well(number)

    track = seen(page)
    assert (track.failed, track.mixed, len(track.straddled)) == (0, 0, 1)
    assert [stretch.version for stretch in track.stretches] == ["1", "2", "1"]


def test_who_is_not_there_is_an_error() -> None:
    with server(well) as address:
        pass
    track = visit("visitor", address, iter([False, True]).__next__)
    assert (track.lookups, track.failed) == (2, 2)
