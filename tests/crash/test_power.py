"""The power goes, at any moment: what is on the disk then is one whole release, and the next command goes on from it.

Each story is a command that changes a site, on a real filesystem whose every write is recorded. The states that a
power loss can leave (`replay`) are mounted and judged (`replay_check`): one whole release at every state, the new one
from the moment that the command returned, and nothing left over after the next change. That the tests can see is shown
by leaving out the program's syncs, one place at a time: each must be missed.
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

from .effort import sample
from .replay_missed import MISSED, NEEDLESS, Seen
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


def _lose_power(*words: str) -> Any:
    """`crash.replay_run`, in a process of its own: its mounts are nobody else's, and end with it."""
    command = [sys.executable, "-m", "crash.replay_run", *words]
    done = subprocess.run(command, cwd=_TESTS, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def _whole_at_every_state(
    kinds: str, story: str, hurry: int, quick: int, full: int, tell: Callable[[str, object], None]
) -> None:
    words = ("--hurry", "0", str(hurry), "--quick", str(quick), "--full", str(full))
    told = _lose_power("states", kinds, story, *words)
    tell("figures", f"{kinds} {story}: {told['judged']} of {told['possible']} states, {told['seconds']} s")
    assert not told["bad"], f"{len(told['bad'])} of {told['judged']} states are bad\n" + "\n".join(told["bad"][:5])
    assert told["judged"] > 0


@pytest.mark.parametrize("story", STORIES)
class TestExt4:
    def test_every_state_is_whole(self, story: str, record_property: Callable[[str, object], None]) -> None:
        _whole_at_every_state("ext4", story, 1, 12, 120, record_property)


@pytest.mark.parametrize("story", STORIES)
class TestXfs:
    def test_every_state_is_whole(self, story: str, record_property: Callable[[str, object], None]) -> None:
        _whole_at_every_state("xfs", story, 1, 12, 120, record_property)


@pytest.mark.parametrize("story", STORIES)
class TestBtrfs:
    def test_every_state_is_whole(self, story: str, record_property: Callable[[str, object], None]) -> None:
        # A commit of btrfs is some ten writes and several milliseconds.
        _whole_at_every_state("btrfs", story, 3, 12, 120, record_property)


@pytest.mark.parametrize("story", STORIES)
class TestTreesOnTwoFilesystems:
    def test_every_state_is_whole(self, story: str, record_property: Callable[[str, object], None]) -> None:
        _whole_at_every_state("ext4+xfs", story, 2, 6, 60, record_property)


# ---------------------------------------------------------------- the tests can see


class TestLeavingOutSyncs:
    def test_each_place_that_asks_for_a_sync_was_left_out_once(self) -> None:
        asked, known = set(_lose_power("asked")), {*MISSED, *NEEDLESS}
        assert not asked - known, "leave these out (crash.replay_run omit), and write down what came of it"
        assert not known - asked, "the program does not ask for these any more"

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_kind_of_sync_left_out_is_missed(self, kind: str) -> None:
        # ext4 puts all names on the disk in order with any sync; btrfs does not.
        assert _miss(kind, Seen("btrfs", "copy-later")), f"no state was bad without any sync of a {kind}"

    @pytest.mark.parametrize("place", sample(list(MISSED), quick=6, salt="syncs"))
    def test_a_sync_left_out_is_missed(self, place: str) -> None:
        assert _miss(place, MISSED[place]), f"no state was bad without {place}"


def _miss(place: str, seen: Seen) -> str | None:
    """A bad state that the sync's omission led to, first of all where it is known to."""
    words = ("--hurry", str(seen.hurry), "--quick", "45", "--each", "2", "--", place)
    found = _lose_power("omit", seen.kinds, seen.story, *words)[place]
    assert found is None or isinstance(found, str)
    return found


# ---------------------------------------------------------------- what this found, and only two filesystems show


def test_a_lock_on_another_filesystem_is_not_taken_for_ours() -> None:
    told = _lose_power("locks")
    assert told["inodes"][0] == told["inodes"][1], "the two filesystems do not show what this is about"
    held, free = told["holders"]
    assert "somebody" in held
    assert free is None
