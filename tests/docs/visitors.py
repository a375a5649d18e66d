"""Visitors of a site who never pause, and what they met: requests, errors, and answers that were of two releases."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from crowd import crowd

_VERSION = re.compile(r"\bv\d+\b")
_PAUSE = 0.01
"""Seconds between two requests of a visitor: a machine that is busy with visitors deploys nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`says` are the versions that stand in it, `release` is its X-Release."""

    path: str
    status: int
    release: str | None
    says: tuple[str, ...]
    retry_after: str | None


@dataclass(slots=True)
class Met:
    """What visitors met. `wanted` is how many versions stand in a whole answer, by path."""

    wanted: Mapping[str, int]
    answers: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.answers) + len(self.broken)

    @property
    def in_maintenance(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 503 and answer.retry_after]

    @property
    def errors(self) -> list[str]:
        """Connections that broke, and answers that are not what was asked for."""
        fine = {*self.in_maintenance, *self.whole}
        return [*self.broken, *(str(answer) for answer in self.answers if answer not in fine)]

    @property
    def whole(self) -> list[Answer]:
        return [a for a in self.answers if a.status == 200 and len(a.says) == self.wanted[a.path]]

    @property
    def mixed(self) -> list[Answer]:
        """Answers in which several versions stand, or another than in the other answers of the same release."""
        of_release: dict[str, str] = {}
        return [
            answer
            for answer in self.whole
            if len(set(answer.says)) != 1
            or (answer.release and of_release.setdefault(answer.release, answer.says[0]) != answer.says[0])
        ]

    @property
    def versions(self) -> set[str]:
        return {version for answer in self.whole for version in answer.says}


@contextmanager
def visitors(port: int, wanted: Mapping[str, int], *, count: int = 2) -> Iterator[Met]:
    """A crowd of them, each asking for these paths in turn, on a connection of its own each time, until the block
    ends."""
    met = Met(wanted)

    def visit() -> None:
        for path in wanted:
            try:
                met.answers.append(_ask(port, path))
            except (OSError, http.client.HTTPException) as error:
                met.broken.append(f"{path}: {error!r}")
            time.sleep(_PAUSE)

    with crowd(visit, count):
        yield met


def _ask(port: int, path: str) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
        answer = connection.getresponse()
        text = answer.read().decode()
        found = tuple(_VERSION.findall(text))
        return Answer(path, answer.status, answer.getheader("X-Release"), found, answer.getheader("Retry-After"))
