"""Notices of a deploy, posted as JSON to the addresses in treeswap.toml.

Promise: they neither hold up a deploy nor fail one. They are sent beside it, tried again with growing pauses, and given
up `PATIENCE` seconds after its end, with a warning. An address may hold a secret: only its host is ever told.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from treeswap.errors import Interrupted, TreeswapError

from . import report

if TYPE_CHECKING:
    from treeswap.outcomes import Outcome
    from treeswap.site import Site

    from .session import Session

PATIENCE = 5.0
"""Seconds after the end of a deploy within which its notices must have been delivered."""
ANSWER_WITHIN = 4.0
"""Seconds that one attempt may take."""
FIRST_PAUSE = 0.25
"""Seconds before the second attempt; each pause is twice as long as the one before."""
ATTEMPTS = 6


class Notices:
    """The notices of one deploy; a context manager around it. `done` hears what came of it."""

    def __init__(self, session: Session, site: Site, addresses: Sequence[str]) -> None:
        self._session, self._site = session, site
        self._posts = [_Post(address) for address in addresses]
        self._outcome: Outcome | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Notices:
        self._send("start")
        return self

    def done(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        deadline = time.monotonic() + PATIENCE
        took = round(time.monotonic() - self._began, 3)
        if error is None:
            outcome = self._outcome
            self._send(
                "success",
                changed=bool(outcome and outcome.changed),
                release=outcome and outcome.release,
                previous=outcome and outcome.previous,
                seconds=took,
            )
        else:
            exit_code, told = _failure(error)
            self._send("failure", exit=exit_code, error=told, release=self._session.current(), seconds=took)
        for post in self._posts:
            for event, reason in post.end(deadline):
                self._session.teller.warn(f"the notice of the {event} was not delivered to {post.host}: {reason}")

    def _send(self, event: str, **details: Any) -> None:
        if not self._posts:
            return
        notice = {
            "version": 1,
            "event": event,
            "site": self._site.name,
            "path": str(self._site.root),
            "by": self._site.by,
            "at": report.time_text(self._site.clock()),
            "text": f"treeswap: deploy of {self._site.name}: {_told(event, details)}",
            **details,
        }
        for post in self._posts:
            post.send(event, notice)


class _Post:
    """One address, with a thread of its own that sends what is queued, in order."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.host = urlsplit(address).hostname or "its address"
        self._notices: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._waiting: list[str] = []
        self._failed: list[tuple[str, str]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def send(self, event: str, notice: Mapping[str, Any]) -> None:
        if not self._thread.ident:
            self._thread.start()
        self._waiting.append(event)
        self._notices.put((event, json.dumps(notice).encode()))

    def end(self, deadline: float) -> list[tuple[str, str]]:
        """Waits until all is sent, or the time is over; gives the events of which nobody was told, and why."""
        self._notices.put(None)
        self._ending.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return [*self._failed, *((event, "it took too long") for event in list(self._waiting))]

    def _run(self) -> None:
        while (item := self._notices.get()) is not None:
            event, data = item
            if reason := self._delivered(event, data):
                self._failed.append((event, reason))
            self._waiting.remove(event)

    def _delivered(self, event: str, data: bytes) -> str | None:
        """None; or why not, after all attempts. That a deploy has begun is of no use any more when it has ended."""
        reason, pause = "", FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            if attempt and event == "start" and self._ending.is_set():
                break
            if attempt:
                time.sleep(pause)
                pause *= 2
            reason = _refusal(self._address, data)
            if not reason:
                return None
        return reason


def _refusal(address: str, data: bytes) -> str:
    """Posts once. Empty if it was taken; else why not, without the address."""
    import urllib.error
    import urllib.request

    from treeswap._version import __version__

    headers = {"Content-Type": "application/json", "User-Agent": f"treeswap/{__version__}"}
    try:
        request = urllib.request.Request(address, data, headers, method="POST")
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except urllib.error.URLError as error:
        return (
            error.reason.strerror or type(error.reason).__name__ if isinstance(error.reason, OSError) else "no answer"
        )
    except Exception as error:
        return type(error).__name__


def _failure(error: BaseException) -> tuple[int, Mapping[str, object]]:
    if isinstance(error, TreeswapError):
        return error.exit_code, report.as_failure(error)
    number = error.signal_number if isinstance(error, Interrupted) else None
    told = TreeswapError("interrupted" if number else type(error).__name__)
    return (128 + number if number else 1), report.as_failure(told, "interrupted" if number else "bug")


def _told(event: str, details: Mapping[str, Any]) -> str:
    if event == "failure":
        return f"failed ({details['exit']}): {details['error']['message']}"
    if event == "success":
        return f"done, {details['release']} is current" if details["changed"] else "done, nothing changed"
    return "begun"
