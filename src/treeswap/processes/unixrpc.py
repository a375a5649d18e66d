"""XML-RPC over a unix socket."""

from __future__ import annotations

import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path


def proxy(path: Path, timeout: float) -> xmlrpc.client.ServerProxy:
    return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_Transport(path, timeout))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout

    def make_connection(self, _host: object) -> http.client.HTTPConnection:
        return _Connection(self._path, self._timeout)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fsencode(self._path))
