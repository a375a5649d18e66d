"""The power goes, at any moment: what is on the disk then is one whole release, and the next command goes on from it.

Each story is a command that changes a site, on a real filesystem whose every write is recorded. The states that a
power loss can leave (`replay`) are mounted and judged (`replay_check`): one whole release at every state, the new one
from the moment that the command returned, and nothing left over after the next change. The same is done on a model of
the weakest filesystem that POSIX allows (`replay_weak`). That the tests can see is shown by leaving out the program's
syncs, one place at a time: each must be missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .effort import is_full, sample
from .replay_missed import MISSED, Seen
from .replay_story import STORIES
from .replay_syncs import KINDS

_TESTS = Path(__file__).parents[1]
_PROGRAMS = ("mkfs.ext4", "mkfs.xfs", "mkfs.btrfs")


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "only root may mount"
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        return "there is no /dev/fuse or no /dev/loop-control"
    known = Path("/proc/filesystems").read_text().split()
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin".split(":")
    missing = [name for name in _PROGRAMS if not any(os.access(f"{here}/{name}", os.X_OK) for here in path)]
    missing += [kind for kind in ("ext4", "xfs", "btrfs") if kind not in known]
    return f"not here: {', '.join(missing)}" if missing else None


@pytest.fixture(autouse=True, scope="module")
def _possible() -> None:
    """Skips where it cannot be done; in CI that is a failure."""
    if why := _why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no recorded block device: {why}")


def _lose_power(*words: str, on: str = "replay_run") -> Any:
    """`crash.replay_run`, in a process of its own: its mounts are nobody else's, and end with it."""
    command = [sys.executable, "-m", f"crash.{on}", *words]
    done = subprocess.run(command, cwd=_TESTS, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


Tell = Callable[[str, object], None]


def _whole_at_every_state(kinds: str, story: str, hurry: int, quick: int, full: int, tell: Tell) -> None:
    how_many = ("--quick", str(quick), "--full", str(full), "--each", "8", "--again", "2" if is_full() else "0")
    _all_whole(kinds, story, _lose_power("states", kinds, story, "--hurry", "0", str(hurry), *how_many), tell)


def _all_whole(where: str, story: str, told: Any, tell: Tell) -> None:
    tell("figures", f"{where} {story}: {told['judged']} of {told['possible']} states, {told['seconds']} s")
    assert not told["bad"], f"{len(told['bad'])} of {told['judged']} states are bad\n" + "\n".join(told["bad"][:5])
    assert told["judged"] > 0


@pytest.mark.parametrize("story", sample([*STORIES], quick=9, salt="ext4"))
class TestExt4:
    def test_every_state_is_whole(self, story: str, record_property: Tell) -> None:
        _whole_at_every_state("ext4", story, 1, 12, 50, record_property)


@pytest.mark.parametrize("story", sample([*STORIES], quick=6, salt="xfs"))
class TestXfs:
    def test_every_state_is_whole(self, story: str, record_property: Tell) -> None:
        _whole_at_every_state("xfs", story, 1, 12, 50, record_property)


@pytest.mark.parametrize("story", sample([*STORIES], quick=6, salt="btrfs"))
class TestBtrfs:
    def test_every_state_is_whole(self, story: str, record_property: Tell) -> None:
        # A commit of btrfs is some ten writes and several milliseconds.
        _whole_at_every_state("btrfs", story, 3, 12, 50, record_property)


@pytest.mark.parametrize("story", sample([*STORIES], quick=4, salt="two filesystems"))
class TestTreesOnTwoFilesystems:
    def test_every_state_is_whole(self, story: str, record_property: Tell) -> None:
        _whole_at_every_state("ext4+xfs", story, 2, 12, 40, record_property)


@pytest.mark.parametrize("story", sample([*STORIES], quick=8, salt="weakest"))
class TestTheWeakestFilesystem:
    """One that does no more than POSIX says; while a command runs, and while its interruption is recovered from."""

    def test_every_state_is_whole(self, story: str, record_property: Tell) -> None:
        words = ("--quick", "24", "--full", "250", "--kills", "1", "--full-kills", "4", "--each", "10")
        told = _lose_power("states", story, *words, on="replay_weak_run")
        _all_whole("weakest", story, told, record_property)


# ---------------------------------------------------------------- the tests can see


class TestLeavingOutSyncs:
    def test_no_sync_of_the_program_can_be_left_out(self, record_property: Tell) -> None:
        """Neither is there one that does not matter, nor one whose absence these tests would not see."""
        found = _lose_power("omit", on="replay_weak_run")
        record_property("figures", f"weakest, each sync left out: {len(found)}")
        assert len(found) > 40
        assert not [place for place, problem in found.items() if problem is None]

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_kind_of_sync_left_out_is_missed(self, kind: str) -> None:
        # ext4 puts all names on the disk in order with any sync; btrfs does not.
        assert _miss(kind, Seen("btrfs", "copy-later")), f"no state was bad without any sync of a {kind}"

    @pytest.mark.parametrize("place", sample(list(MISSED), quick=3, salt="syncs"))
    def test_a_sync_left_out_is_missed_on_a_real_filesystem(self, place: str) -> None:
        assert _miss(place, MISSED[place]), f"no state was bad without {place}"


_RECORDINGS = 5


def _miss(place: str, seen: Seen) -> str | None:
    """A bad state that the sync's omission led to, first of all where it is known to. What a filesystem has written by
    itself when the command goes on is a matter of milliseconds, so that one recording may show nothing."""
    recordings = [str(seen.hurry)] * _RECORDINGS
    words = ("--hurry", *recordings, "--quick", "45", "--each", "2", "--", place)
    found = _lose_power("omit", seen.kinds, seen.story, *words)[place]
    assert found is None or isinstance(found, str)
    return found


# ---------------------------------------------------------------- what this found, and only such filesystems show


def test_a_lock_on_another_filesystem_is_not_taken_for_ours() -> None:
    told = _lose_power("locks")
    assert told["inodes"][0] == told["inodes"][1], "the two filesystems do not show what this is about"
    held, free = told["holders"]
    assert "somebody" in held
    assert free is None


def test_a_version_that_is_mounted_elsewhere_is_held() -> None:
    told = _lose_power("mounts")
    assert told["devices"][0] != told["devices"][1], "btrfs does not show what this is about"
    assert told["held"] == [False, True]
