"""The site changed by commands that nobody sees, and what was done when."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from treeswap.errors import Failed

from . import example, front
from .grounds import Grounds
from .verdict import Move


class Changing:
    """`treeswap` at work in these grounds; `Failed` where it fails."""

    def __init__(self, place: Grounds) -> None:
        self._place = place
        self._versions: dict[str, str] = {}
        self.moves: list[Move] = []

    def deploy(self, version: str, *options: str) -> None:
        example.stamp(self._place.work / "new", version)
        started = time.monotonic()
        self._run("deploy", *options)
        self._versions[self._current()] = version
        self._note("deploy", started)

    def rollback(self) -> None:
        started = time.monotonic()
        self._run("rollback")
        self._note("rollback", started)

    @contextmanager
    def front(self, nginx: str) -> Iterator[int]:
        """nginx in front of it while the block runs; its port. From then on each change is confirmed through it."""
        port = front.free_port()
        text = self._run("webserver", "nginx", "--host", "127.0.0.1", "--port", str(port))
        with front.serving(nginx, self._place.work / "nginx", text, port):
            self._place.configure(f"http://127.0.0.1:{port}/up")
            yield port

    def _note(self, label: str, started: float) -> None:
        current = self._current()
        self.moves.append(Move(label, self._versions[current], current, started, time.monotonic()))

    def _current(self) -> str:
        return (self._place.site / "current").readlink().name

    def _run(self, *words: str) -> str:
        """What it prints."""
        clean = {name: text for name, text in os.environ.items() if not name.startswith("TREESWAP_")}
        command = [sys.executable, "-m", "treeswap", *words]
        done = subprocess.run(command, cwd=self._place.work, env=clean, capture_output=True, text=True)
        if done.returncode:
            told = (done.stdout + done.stderr).strip()
            raise Failed(f"treeswap {words[0]} ended with {done.returncode}: {told}")
        return done.stdout
