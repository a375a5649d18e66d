"""What another process works out meanwhile, and what becomes of it when either ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import treeswap
from treeswap.aside import Aside

SRC = Path(treeswap.__file__).parents[1]


def test_the_result_is_that_of_another_process() -> None:
    with Aside(os.getpid) as aside:
        assert aside.result() not in (None, os.getpid())


def test_a_large_result_arrives_whole() -> None:
    with Aside(lambda: list(range(1_000_000))) as aside:
        assert aside.result() == list(range(1_000_000))


def test_what_fails_comes_to_nothing() -> None:
    def fail() -> int:
        raise ValueError("this never reaches anybody")

    with Aside(fail) as aside:
        assert aside.result() is None


def test_what_is_killed_comes_to_nothing() -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    with Aside(die) as aside:
        assert aside.result() is None


def test_it_ends_with_the_block() -> None:
    with Aside(lambda: time.sleep(600)) as aside:
        pid = aside._pid
    assert not Path(f"/proc/{pid}").exists()


def test_it_has_no_lock_of_its_parent(tmp_path: Path) -> None:
    """Else who was killed would hold it for as long as the other process lives."""
    held = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    try:
        with Aside(lambda: os.listdir("/proc/self/fd")) as aside:
            found = aside.result()
        assert found is not None and str(held) not in found
    finally:
        os.close(held)


def test_one_that_writes_keeps_the_locks_of_its_parent(tmp_path: Path) -> None:
    held = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    try:
        with Aside(lambda: os.listdir("/proc/self/fd"), keeps_descriptors=True) as aside:
            found = aside.result()
        assert found is not None and str(held) in found
    finally:
        os.close(held)


def test_no_handler_of_its_parent_runs_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a signal to both has the parent clear away is the parent's to clear away."""
    fork, here = os.fork, os.getpid()

    def struck() -> int:
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return pid

    def clear_away(*_: object) -> None:
        (tmp_path / str(os.getpid() == here)).touch()

    monkeypatch.setattr(os, "fork", struck)
    before = signal.signal(signal.SIGTERM, clear_away)
    try:
        with Aside(lambda: 1) as aside:
            assert aside.result() is None
        assert list(tmp_path.iterdir()) == []
        os.kill(here, signal.SIGTERM)  # here it is handled again
        assert [path.name for path in tmp_path.iterdir()] == ["True"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_it_ends_with_its_parent() -> None:
    program = (
        "import time; from treeswap.aside import Aside; aside = Aside(lambda: time.sleep(600));"
        "print(aside._pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SRC)}, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_where_no_process_can_be_made_it_comes_to_nothing(monkeypatch: object) -> None:
    def fork() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)  # type: ignore[attr-defined]
    with Aside(lambda: 1) as aside:
        assert aside.result() is None
