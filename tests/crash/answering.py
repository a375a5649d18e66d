"""A program of the site that is swept, as small as one can be: with the path of a socket it answers there, without one
it is a worker.

It answers every request with the versions that it sees: of its code, as it was when it started; of the file that the
code was in; and of another tree of its release; then its release.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

HERE = Path.cwd()
"""A version of the tree `apps`."""


def main() -> None:
    code = (HERE / "f").read_text()
    if len(sys.argv) == 1:
        while True:
            signal.pause()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        while True:
            asked, _ = listening.accept()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # who has been accepted gets an answer
            with asked:
                answer(asked, code)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def answer(asked: socket.socket, code: str) -> None:
    release = os.environ["TREESWAP_RELEASE_ID"]
    other = Path(os.environ["TREESWAP_RELEASE"], "conf/f").read_text()
    body = f"{code} {(HERE / 'f').read_text()} {other} {release}"
    head = f"HTTP/1.0 200 OK\r\nX-Release: {release}\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        while not asked.recv(4096).endswith(b"\r\n\r\n"):
            pass
        asked.sendall((head + body).encode())
    except OSError:
        pass  # who only looked whether somebody listens has gone


main()
