"""A signal before the switch ends everything as if nothing had been; one after it lets the change be finished."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from treeswap.cli.program import run
from treeswap.cli.signals import SIGNALS, Signals
from treeswap.errors import Interrupted

from .world import PROGRAM, World


def start(world: World, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [PROGRAM, *words],
        cwd=world.root,
        env=world.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def catches(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/status") as lines:  # noqa: PTH123
        caught = next(line for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_switch(world: World, number: signal.Signals) -> None:
    id = world.deploy("1")
    world.tree("b/apps", {"a": "2"})
    lock = os.open(world.root / "srv/.treeswap/apps/.treeswap/deploy.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start(world, "copy", "b/apps:srv/apps", "--lock-wait", "60")
        # It sleeps between attempts for as long as it waits: then it is where a signal must find it.
        until(lambda: catches(child.pid, number) and waits_for(child.pid))
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    finally:
        os.close(lock)
    assert child.returncode == 128 + number
    lines = err.decode().splitlines()
    assert f"interrupted by {number.name}" in lines[0] and "nothing was switched" in lines[0]
    assert lines[-1] == f"current: {id}"
    assert world.shows() == "1"


def waits_for(pid: int) -> bool:
    return any(
        os.readlink(f"/proc/{pid}/fd/{fd}").endswith("deploy.lock")
        for fd in os.listdir(f"/proc/{pid}/fd")
        if os.path.lexists(f"/proc/{pid}/fd/{fd}")
    )


def test_a_signal_after_the_switch_lets_it_be_finished(world: World) -> None:
    world.deploy("1")
    world.tree("b/apps", {"a": "2"})
    signalled = world.root / "signalled"
    after = f"while ! test -e {signalled}; do sleep 0.05; done; echo finished > {signalled}"
    child = start(world, "copy", "b/apps:srv/apps", "--after", after)
    until(lambda: world.shows() == "2")
    child.send_signal(signal.SIGTERM)
    signalled.touch()
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert signalled.read_text() == "finished\n"
    assert b"SIGTERM came after the switch" in err


def test_an_interrupted_program_answers_in_json_too(world: World) -> None:
    world.deploy("1")
    lock = os.open(world.root / "srv/.treeswap/apps/.treeswap/deploy.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start(world, "prune", "--json", "--site", "srv/apps", "--lock-wait", "1m")
        until(lambda: catches(child.pid, signal.SIGTERM) and waits_for(child.pid))
        child.terminate()
        out, _ = child.communicate(timeout=60)
    finally:
        os.close(lock)
    assert b'"code": "interrupted"' in out and b'"exit": 143' in out


def test_what_is_ignored_stays_ignored(world: World) -> None:
    script = f"trap '' HUP; exec {shlex.quote(PROGRAM)} exec --site srv/apps -- grep SigIgn /proc/self/status"
    world.deploy("1")
    done = subprocess.run(["sh", "-c", script], cwd=world.root, env=world.environ, capture_output=True, check=True)
    ignored = int(done.stdout.split()[1], 16)
    assert ignored >> (signal.SIGHUP - 1) & 1
    assert not ignored >> (signal.SIGPIPE - 1) & 1


def test_the_moments_around_the_switch() -> None:
    signals = Signals()
    signals.step("switching")
    signals._arrived(signal.SIGTERM, None)
    assert signals.noted == signal.SIGTERM
    signals.step("switched")
    signals._arrived(signal.SIGINT, None)
    assert signals.noted == signal.SIGTERM

    signals = Signals()
    signals.step("switching")
    signals._arrived(signal.SIGTERM, None)
    with pytest.raises(Interrupted) as interrupted:
        signals.step("not-switched")
    assert interrupted.value.signal_number == signal.SIGTERM


def test_a_signal_while_they_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signals, "install", lambda self: self._arrived(signal.SIGTERM, None))
    assert run(["status"]) == 128 + signal.SIGTERM


def test_a_signal_after_the_answer_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        assert run(["--version"]) == 0
        for number in SIGNALS:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capfd.readouterr().err == ""


def test_a_signal_that_comes_in_a_finaliser_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    signals = Signals()

    class Finalised:
        def __del__(self) -> None:
            signals._arrived(signal.SIGTERM, None)

    handlers = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    try:
        signals.install()
        finalised = Finalised()
        with pytest.raises(Interrupted):
            del finalised
            time.sleep(60)
    finally:
        signals.end()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capfd.readouterr().err == ""


def test_the_echo_of_a_signal_does_not_break_off_the_cleaning_up() -> None:
    signals = Signals()
    with pytest.raises(Interrupted):
        signals._arrived(signal.SIGHUP, None)
    signals._arrived(signal.SIGHUP, None)
    assert signals.noted is None
