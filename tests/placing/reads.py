"""Files that change under a reader at a known moment."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


class Reads:
    """Does something after each pread(2) of this process; `act` is told which one it was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
        self.count = 0
        read = os.pread

        def pread(fd: int, length: int, offset: int) -> bytes:
            data = read(fd, length, offset)
            self.count += 1
            act(self.count)
            return data

        monkeypatch.setattr(os, "pread", pread)
