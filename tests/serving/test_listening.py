"""What the kernel says of a socket: who listens, and who waits."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from filesystems import CannotMount, without
from treeswap.processes import asking, listening


def test_who_waits_is_counted_until_accepted(tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    assert listening.queued(path) == 0
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(path))
        listener.listen()
        if listening.queued(path) is None:
            without(CannotMount("this kernel does not tell who waits at a unix socket"))
        assert listening.queued(path) == 0
        for number in (1, 2, 3):
            coming = stack.enter_context(socket.socket(socket.AF_UNIX))
            coming.connect(str(path))
            assert listening.peer(coming) == os.getpid()
            assert listening.queued(path) == number
        listener.accept()[0].close()
        assert listening.queued(path) == 2
    assert listening.queued(path) == 0


def test_a_full_queue_is_not_taken_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(path))
        listener.listen(0)
        coming = stack.enter_context(socket.socket(socket.AF_UNIX))
        coming.connect(str(path))
        assert listening.queued(path) == 1
        assert listening.is_listened_at(path)
        assert listening.queued(path) == 1
        with pytest.raises(asking.NoAnswer, match="temporarily"):
            asking.over_socket(path, "/", "localhost", 0.2)
    assert not listening.is_listened_at(path)  # the file is there still
    assert path.exists()
    with pytest.raises(asking.NoAnswer, match="refused"):
        asking.listener(path, 0.2)


def test_what_is_no_http_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert asking.listener(path, 1) == os.getpid()
        with pytest.raises(asking.NoAnswer, match="timed out"):
            asking.over_socket(path, "/", "localhost", 0.2)
