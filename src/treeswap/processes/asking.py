"""Asking a process whether it is well, or the front door which release it serves: one HTTP request at a time."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import listening

if TYPE_CHECKING:
    import http.client

RELEASE_HEADER = "X-Release"
"""The header in which an application, or the web server before it, may say which release answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the release that the answer names, and which process listens (0: not known)."""

    status: int
    release: str | None = None
    pid: int = 0

    @property
    def well(self) -> bool:
        """Whether this is how something that works answers: a redirection is, a page that is missing is not."""
        return 200 <= self.status < 400


class NoAnswer(Exception):
    """Nothing came back that could be understood; its text says what came instead."""


def over_socket(path: Path, target: str, host: str, timeout: float) -> Answer:
    """GETs `target` from whoever listens at a unix socket. `timeout` is in seconds, for each wait. `NoAnswer`."""
    import http.client

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self.sock.settimeout(timeout)
            self.sock.connect(str(path))

    return _get(Connection(host, timeout=timeout), target)


def of_url(url: str, timeout: float) -> Answer:
    """GETs a URL, without following where it redirects to. `NoAnswer`."""
    import http.client

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _get(kind(parts.hostname or "", parts.port, timeout=timeout), target)


def listener(path: Path, timeout: float) -> int:
    """Which process listens at a unix socket that need not speak HTTP. `NoAnswer`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise NoAnswer(_described(error))
        return listening.peer(connection)


def _get(connection: http.client.HTTPConnection, target: str) -> Answer:
    from http.client import HTTPException

    try:
        connection.connect()
        pid = listening.peer(connection.sock) if connection.sock.family == socket.AF_UNIX else 0
        connection.request("GET", target, headers={"Connection": "close", "User-Agent": "treeswap"})
        response = connection.getresponse()
        return Answer(response.status, response.getheader(RELEASE_HEADER), pid)
    except (OSError, HTTPException) as error:
        raise NoAnswer(_described(error))
    finally:
        connection.close()


def _described(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
