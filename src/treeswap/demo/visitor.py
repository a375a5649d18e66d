"""A process of visitors: `python -m treeswap.demo.visitor COUNT ADDRESS`, where ADDRESS is a port on loopback, or the
path of a socket that is connected to anew for each request. With `--unnamed` answers need not say X-Release.

Each asks for the page, then for a static file, without a pause but after an error. It says `ready`, goes on until its
standard input ends, and tells a `Track` for each visitor as JSON, in a list.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .tracks import SLICE, Count, Stretch, Track

_TIMEOUT = 30.0
_REST = 0.02
"""Seconds after an error: how many there are is not to depend on how quickly the next one comes."""
_TOLD = 10
"""How many errors are told in words."""
_PAGE = re.compile(rb'<dd id="\w+">\s*(\w+)\s*</dd>')
_FILE = re.compile(rb"^(\w+)\s*$")
PASS = (("/", _PAGE, 3), ("/static/version.txt", _FILE, 1))
"""What a visitor asks for, where its answer says versions, and how many it has to say."""


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us, who then closes our input
    count, address, named = int(arguments[0]), arguments[1], "--unnamed" not in arguments[2:]
    over = threading.Event()
    with ThreadPoolExecutor(count) as threads:
        coming = [threads.submit(visit, f"visitor {n}", address, over.is_set, named=named) for n in range(1, count + 1)]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        over.set()
        tracks = [each.result().to_json() for each in coming]
    json.dump(tracks, sys.stdout)


class _Socket(http.client.HTTPConnection):
    """As a web server connects: the path is resolved at each connect."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def _line_to(address: str) -> http.client.HTTPConnection:
    if address.isdigit():
        return http.client.HTTPConnection("127.0.0.1", int(address), timeout=_TIMEOUT)
    return _Socket(address)


class Mixture(ValueError):
    """One answer says two versions."""


class NoAnswer(ValueError):
    """What came is no whole answer; `status` is what it came with."""

    def __init__(self, path: str, status: int, release: str | None, body: bytes) -> None:
        super().__init__(f"{path} is answered with {status}, X-Release {release}, and {body[:200]!r}")
        self.status = status


def visit(name: str, address: str, over: Callable[[], bool], *, named: bool = True) -> Track:
    """Visits until it is over. Where answers are not `named`, the version that one says is taken for its release."""
    visits, line = _Visits(named, time.monotonic()), _line_to(address)
    while not over():
        visits.make_pass(line)
    line.close()
    return visits.track(name, time.monotonic())


@dataclass(slots=True)
class _Visits:
    """What was seen so far. `good_page` is when a page was last answered well, `began` when it was last asked."""

    named: bool
    good_page: float
    began: float = 0.0
    longest: float = 0.0
    passes: int = 0
    failed: int = 0
    mixed: int = 0
    failures: list[str] = field(default_factory=list)
    straddled: list[float] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)

    def make_pass(self, line: http.client.HTTPConnection) -> None:
        """Asks for all that a page consists of, one after the other."""
        self.passes += 1
        seen = set()
        for path, pattern, number in PASS:
            self.began = time.monotonic()
            try:
                release, version = _ask(line, path, pattern, number, self.named)
                if (known := self.names.setdefault(release, version)) != version:
                    raise Mixture(f"{path} says version {version} and is of {release}, whose is {known}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                line.close()
                self._fail(error)
            else:
                seen.add(version)
                self._answered(path, version, time.monotonic())
        if len(seen) > 1:
            self.straddled.append(self.began)

    def _fail(self, error: Exception) -> None:
        if len(self.failures) < _TOLD:
            self.failures.append(f"{type(error).__name__}: {error}")
        if isinstance(error, Mixture):
            self.mixed += 1
            return
        self.failed += 1
        self.kinds[str(error.status) if isinstance(error, NoAnswer) else type(error).__name__] += 1
        time.sleep(_REST)

    def _answered(self, path: str, version: str, ended: float) -> None:
        self.waits[math.ceil((ended - self.began) * 1000)] += 1
        if path == PASS[0][0]:
            self.longest, self.good_page = max(self.longest, ended - self.good_page), ended
        self.counts[int(ended / SLICE), version] += 1
        if self.stretches and self.stretches[-1].version == version:
            self.stretches[-1] = Stretch(version, self.stretches[-1].first_ended, self.began)
        else:
            self.stretches.append(Stretch(version, ended, self.began))

    def track(self, name: str, now: float) -> Track:
        return Track(
            name,
            "request",
            self.passes * len(PASS),
            self.passes,
            self.failed,
            tuple(self.failures),
            tuple(self.stretches),
            tuple(self.straddled),
            mixed=self.mixed,
            named=self.names,
            counts=tuple(Count(slice_, version, number) for (slice_, version), number in sorted(self.counts.items())),
            kinds=dict(self.kinds),
            waits=tuple(sorted(self.waits.items())),
            longest=max(self.longest, now - self.good_page),
        )


def _ask(
    line: http.client.HTTPConnection, path: str, pattern: re.Pattern[bytes], number: int, named: bool
) -> tuple[str, str]:
    """The release that an answer names, and the version that all its parts say. `Mixture`; `NoAnswer`."""
    line.request("GET", path)
    answer = line.getresponse()
    body = answer.read()
    release = answer.getheader("X-Release")
    said = [found.decode() for found in pattern.findall(body)]
    if answer.status != 200 or (named and not release) or len(said) != number:
        raise NoAnswer(path, answer.status, release, body)
    if len(set(said)) > 1:
        raise Mixture(f"{path} of {release} says versions {', '.join(said)}")
    return (release if named and release else said[0]), said[0]


if __name__ == "__main__":
    main(sys.argv[1:])
