"""Many at once, killed at random: whoever reads through the public paths, `Site.pin()` or `exec` sees whole releases,
and the site comes to rest. `make test-soak` is the same for as long as it is told.

And an emergency does not wait: a rollback goes through while a long deploy is staging.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import treeswap
from filesystems import CannotMount, without

from .contention import Figures
from .contention_world import VARIANTS
from .effort import is_full, seed
from .oracle import Answer, Broken, Site, rests
from .soak import CANNOT_MOUNT

_TESTS = Path(__file__).resolve().parent.parent
_ENVIRON = {**os.environ, "PYTHONPATH": f"{_TESTS}:{Path(treeswap.__file__).resolve().parent.parent}"}
_COMMANDS = 900 if is_full() else 110
"""In each storm. One takes 40 ms of a core, its readers included."""
_SOME = ("deploy", "stage", "rollback ID", "prune", "adopt", "unadopt", "verify", "status")
_ENOUGH = {**dict.fromkeys(("copy", "rollback", "switch"), 3), **dict.fromkeys(_SOME if is_full() else (), 3)}
"""How many commands of each kind have to end well, in all variants together, for the storms to have been some. Where
they are short, most find the lock taken, and a kind that is given seldom may do so each time."""


def _storms() -> list[int]:
    """One of each variant. Who cannot mount has none with two filesystems, and others twice instead."""
    had = [n for n in range(2 * len(VARIANTS)) if os.geteuid() == 0 or not VARIANTS[n % len(VARIANTS)].elsewhere]
    return had[: len(VARIANTS)]


def _storm(number: int) -> Figures:
    command = [sys.executable, "-m", "crash.soak", "--json", "--seed", seed(), "--storm", str(number)]
    command += ["--commands", str(_COMMANDS), "--seconds", "600"]
    done = subprocess.run(command, cwd=_TESTS, env=_ENVIRON, capture_output=True, text=True, check=False)
    if done.returncode == CANNOT_MOUNT:
        without(CannotMount(done.stderr))
    if done.returncode != 0:
        pytest.fail(f"{done.stdout}{done.stderr}", pytrace=False)
    return Figures.of_plain(json.loads(done.stdout))


def test_a_crowd_that_is_killed_at_random_sees_whole_releases_only(
    record_property: Callable[[str, object], None],
) -> None:
    figures = Figures()
    for number in _storms():
        figures.add(_storm(number))
    record_property("figures", f"contention: {figures.line}")
    few = {kind: figures.of(kind) for kind, enough in _ENOUGH.items() if figures.of(kind) < enough}
    assert not few, f"too few of these ended well:\n{figures}"
    counts = figures.counts
    assert counts["ended by SIGKILL"] >= 50 and counts["ended by SIGTERM"] >= 5 and counts["ended by SIGINT"] >= 5
    assert counts["lookups"] >= 2000 and counts["directories"] >= 200
    assert counts["pins"] >= 10 and counts["execs"] >= 3 and counts["versions looked at"] >= 200
    assert counts["rests"] >= len(VARIANTS)


# ---------------------------------------------------------------- an emergency during a long build

FILES = 1500


class Emergency:
    """A site of one tree that has been deployed twice, and a source that takes long to stage."""

    def __init__(self, root: Path) -> None:
        self.root, self.public = root, root / "srv" / "apps"
        self.site = Site(root / "site", {"apps": self.public})
        self.public.parent.mkdir()
        for name, files in (("1", 1), ("2", 1), ("long", FILES), ("3", 1)):
            for number in range(files):
                self.source(name).joinpath(f"d{number % 20}").mkdir(parents=True, exist_ok=True)
                self.source(name).joinpath(f"d{number % 20}/f{number}").write_text(name)

    def source(self, name: str) -> Path:
        return self.root / "sources" / name

    def copy(self, name: str) -> tuple[str, ...]:
        return ("copy", f"{self.source(name)}:{self.public}", "--deploy-to", str(self.site.root), "--json")

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "treeswap", *words]
        return subprocess.Popen(command, env=_ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str, user: str | None = None) -> Answer:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return Answer(words, process.returncode, out, err)

    def stopped_in_the_middle(self, words: tuple[str, ...]) -> subprocess.Popen[str]:
        """A deploy that stands still, with some of its files staged and some not."""
        room = self.site.root / "trees" / "apps"
        before = set(os.listdir(room))
        process = self.start(*words)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            for id in set(os.listdir(room)) - before:
                os.kill(process.pid, signal.SIGSTOP)
                staged = sum(len(files) for _, _, files in os.walk(room / id))
                assert 0 <= staged < FILES, "it was stopped too late to prove anything"
                assert id not in self.site.records()
                return process
        raise AssertionError(f"nothing was staged: {process.communicate()}")


@pytest.fixture
def emergency(tmp_path: Path) -> Iterator[Emergency]:
    yield Emergency(tmp_path)


def test_a_rollback_goes_through_while_a_long_deploy_is_staging(emergency: Emergency) -> None:
    first = emergency.run(*emergency.copy("1")).json["release"]
    second = emergency.run(*emergency.copy("2")).json["release"]
    deploy = emergency.stopped_in_the_middle(emergency.copy("long"))
    try:
        answer = emergency.run("rollback", "--json", "--site", str(emergency.site.root))
        assert answer.code == 0 and answer.json["release"] == first, str(answer)
        assert emergency.site.current == first and (emergency.public / "d0/f0").read_text() == "1"
        refused = emergency.run(*emergency.copy("3"))
        assert refused.code == 11 and str(deploy.pid) in refused.json["error"]["message"], str(refused)
        status = emergency.run("status", "--json", "--site", str(emergency.site.root)).json
        assert (status["state"], status["lock"]["pid"], status["current"]) == ("changing", deploy.pid, first)
    finally:
        os.kill(deploy.pid, signal.SIGCONT)
        out, err = deploy.communicate(timeout=60)
    assert deploy.returncode == 12, f"{out}{err}"
    assert json.loads(out)["error"]["code"] == "overtaken"
    assert emergency.site.current == first and (emergency.public / "d0/f0").read_text() == "1"
    assert sorted(emergency.site.records()) == [first, second]
    assert emergency.run(*emergency.copy("3")).code == 0
    assert (emergency.public / "d0/f0").read_text() == "3"
    rests(emergency.site, emergency.run)


def test_a_rollback_goes_through_after_a_long_deploy_was_killed(emergency: Emergency) -> None:
    first = emergency.run(*emergency.copy("1")).json["release"]
    emergency.run(*emergency.copy("2"))
    deploy = emergency.stopped_in_the_middle(emergency.copy("long"))
    deploy.kill()
    deploy.communicate()
    answer = emergency.run("rollback", "--json", "--site", str(emergency.site.root))
    assert answer.code == 0 and emergency.site.current == first, str(answer)
    with pytest.raises(Broken, match="still there"):
        rests(emergency.site, emergency.run)  # a rollback sweeps nothing
    assert emergency.run(*emergency.copy("3")).code == 0
    rests(emergency.site, emergency.run)


# ---------------------------------------------------------------- two processes that write

_STRUCK = 90 if is_full() else 9


@pytest.mark.parametrize("struck", ["both", "the other"])
def test_a_deploy_that_two_processes_make_is_whole_or_gone(
    emergency: Emergency, struck: str, record_property: Callable[[str, object], None]
) -> None:
    """Where the one is killed that was started, both end, and nobody gets the lock before."""
    dice, deaths = Random(f"{seed()} {struck}"), 0
    emergency.run(*emergency.copy("1"))
    for _ in range(_STRUCK):
        deploy = emergency.start(*emergency.copy("long"))
        other = _other_of(deploy)
        time.sleep(dice.uniform(0, 0.2))
        with suppress(ProcessLookupError):
            os.kill(deploy.pid if struck == "both" else other, signal.SIGKILL)
        if struck == "the other":
            out, err = deploy.communicate(timeout=60)
            assert deploy.returncode == 0, f"{out}{err}"
            assert {path.read_text() for path in emergency.public.rglob("f*")} == {"long"}
            assert len(list(emergency.public.rglob("f*"))) == FILES
        answer = emergency.run(*emergency.copy("3"))
        assert answer.code == 0, str(answer)
        deaths += deploy.wait() != 0
        assert not _runs(other)
        assert (emergency.public / "d0/f0").read_text() == "3"
        rests(emergency.site, emergency.run)
    record_property("figures", f"two writers, {struck} struck: {_STRUCK} operations")
    assert deaths > 0 or struck == "the other"


def _other_of(deploy: subprocess.Popen[str]) -> int:
    """The process that makes the other half of a version."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and deploy.poll() is None:
        children = Path(f"/proc/{deploy.pid}/task/{deploy.pid}/children").read_text().split()
        if children:
            return int(children[0])
    raise AssertionError(f"there was no other process: {deploy.communicate()}")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
