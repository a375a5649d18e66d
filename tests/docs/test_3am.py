"""Each state of the page "At 3 a.m." is made for real, and the page is read against it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from .bakery import TREES, Bakery
from .conftest import BIN
from .console import Reading, Shell
from .pages import DOCS, blocks, headings, section

PAGE = DOCS / "3am.md"

SEEN = {
    "the release that was current": "v2 v2 v2",
    "the release that is current": "v2 v2 v2",
    "the release that is current, and it is bad": "v1 v1 v1",
    "the release that `current` names": "v1 v1 v1",
    "the new release": "v3 v3 v3",
    "the live directories, as before": "v0 v0 v0",
    "errors in that tree": None,
    "errors in the tree whose versions are on another filesystem": None,
    "a mixture": "v2 found v2",
    "whatever somebody wrote there": "v2 found v2",
}
"""What the page says that visitors see, as the versions of the three trees; None: one of them cannot be read."""


# ---------------------------------------------------------------- interrupted


def while_staging(home: Path) -> None:
    _changed(home).killed("after", "treeswap.stage:place", "deploy", number=2)


def after_the_seal(home: Path) -> None:
    _changed(home).killed("after", "treeswap.records:Records.write", "deploy")


def before_the_switch(home: Path) -> None:
    _changed(home).killed("before", "treeswap.switch:point", "deploy")


def after_the_switch(home: Path) -> None:
    _changed(home).killed("after", "treeswap.switch:point", "deploy")


def in_a_rollback(home: Path) -> None:
    _deployed(home).killed("before", "treeswap.switch:point", "rollback")


def before_an_adoption(home: Path) -> None:
    _live(home).killed("after", "treeswap.adopt:put_slot", "deploy", "--adopt", number=3)


def in_an_adoption(home: Path) -> None:
    _live(home).killed("after", "treeswap.adopt:carry_out", "deploy", "--adopt")


def in_an_unadopt(home: Path) -> None:
    _deployed(home).killed("after", "treeswap.adopt:give_back", "unadopt")


def in_a_migration(home: Path) -> None:
    bakery = _changed(home)
    with bakery.config.open("a") as config:
        config.write('[commands]\nmigrate = [{ run = "true", exclusive = true }]\n')
    bakery.killed("before", "treeswap.site.commanding:run", "deploy")


def in_a_prune(home: Path) -> None:
    bakery = Bakery(home, deployed=["v0", "v1", "v2"])
    bakery.killed("after", "treeswap.records:Records.remove", "prune", "--keep", "1", "--grace", "0")


# ---------------------------------------------------------------- refused


@contextmanager
def locked(home: Path) -> Iterator[None]:
    with _deployed(home).deploying("v3"):
        yield


def held(home: Path) -> None:
    _deployed(home).run("lock", "-m", "moving house")


@contextmanager
def full_disk(home: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small filesystem")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", home], check=True)
    try:
        bakery = Bakery(home, deployed=["v0", "v1", "v2"])
        (bakery.build / "apps/large").write_bytes(os.urandom(3_000_000))
        with (home / "filler").open("wb") as filler:
            filler.write(bytes(3_500_000))
        yield
    finally:
        subprocess.run(["umount", home], check=True)


def no_earlier_one(home: Path) -> None:
    _deployed(home).run("rollback")


@contextmanager
def not_mounted(home: Path) -> Iterator[None]:
    """Unmounting leaves an empty directory where the filesystem was."""
    disk, away = home / "disk", home / "disk.away"
    disk.mkdir()
    bakery = Bakery(home, deployed=["v1", "v2"], trees_dir=disk / "media.trees")
    before = sorted(disk.rglob("*"))
    disk.rename(away)
    disk.mkdir()
    yield
    assert list(disk.iterdir()) == []
    disk.rmdir()
    away.rename(disk)
    assert sorted(disk.rglob("*")) == before
    assert bakery.shown() == "v2 v2 v2"


# ---------------------------------------------------------------- changed by hand


def missing_path(home: Path) -> None:
    _deployed(home).public("conf").unlink()


def directory_in_its_place(home: Path) -> None:
    path = _deployed(home).public("conf")
    path.unlink()
    path.mkdir()
    (path / "version").write_text("found\n")


def moved_by_hand(home: Path) -> None:
    bakery = _deployed(home)
    (bakery.site / "next").symlink_to(f"releases/{bakery.ids()[0]}")
    (bakery.site / "next").rename(bakery.site / "current")


def changed_files(home: Path) -> None:
    bakery = _deployed(home)
    (bakery.site / "trees/conf" / bakery.current() / "version").write_text("found\n")


def lost_version(home: Path) -> None:
    bakery = _deployed(home)
    shutil.rmtree(bakery.site / "trees/conf" / bakery.current())


# ---------------------------------------------------------------- damaged


def old_record(home: Path) -> None:
    bakery = _deployed(home)
    _damage(bakery.site / f".treeswap/records/{bakery.ids()[0]}.json")


def current_record(home: Path) -> None:
    bakery = _deployed(home)
    _damage(bakery.site / f".treeswap/records/{bakery.current()}.json")


def journal_line(home: Path) -> None:
    _damage(_deployed(home).site / ".treeswap/journal.jsonl", line=2)


def manifest(home: Path) -> None:
    bakery = _deployed(home)
    _damage(bakery.site / ".treeswap/manifests/conf" / bakery.current())


def site_json(home: Path) -> None:
    _damage(_deployed(home).site / ".treeswap/site.json")


STATES: dict[str, Callable[[Path], AbstractContextManager[None] | None]] = {
    "Killed while staging": while_staging,
    "Killed after the seal": after_the_seal,
    "Killed just before the switch": before_the_switch,
    "Killed just after the switch": after_the_switch,
    "Killed in a rollback": in_a_rollback,
    "Killed before the first directory was adopted": before_an_adoption,
    "Killed in the middle of an adoption": in_an_adoption,
    "Killed in the middle of an unadopt": in_an_unadopt,
    "Killed in a prune": in_a_prune,
    "Killed in an exclusive migration": in_a_migration,
    "Locked by a running deploy": locked,
    "Held": held,
    "The disk is full": full_disk,
    "Nothing to roll back to": no_earlier_one,
    "A trees_dir is not mounted": not_mounted,
    "A public path is missing": missing_path,
    "A directory in a public path's place": directory_in_its_place,
    "Current was moved by hand": moved_by_hand,
    "Files of a version were changed": changed_files,
    "A version is gone": lost_version,
    "The record of an old release is damaged": old_record,
    "The record of the current release is damaged": current_record,
    "A line of the journal is damaged": journal_line,
    "A manifest is damaged": manifest,
    "site.json is damaged": site_json,
}


def test_each_state_of_the_page_can_be_made() -> None:
    assert [heading.text for heading in headings(PAGE) if heading.level == 3] == list(STATES)


@pytest.mark.parametrize("state", STATES)
def test_the_page_tells_what_happens(state: str, home: Path) -> None:
    made = STATES[state](home)
    if made is None:
        _read(state, home)
    else:
        with made:
            _read(state, home)


def _read(state: str, home: Path) -> None:
    said = " ".join(section(PAGE, state))
    told = re.search(r"\*\*Visitors see\*\* (.+?)(?:[.:]|, (?:here|and the current)|$)", said)
    assert told, "the page does not say what visitors see"
    sees = SEEN[told[1]]
    assert _shown(home) == sees

    reading = Reading()
    with Shell(home, [BIN]) as shell:
        shell.run("cd ~/bakery")
        for block in blocks(PAGE, "console"):
            if block.heading == state:
                reading.follow(shell, block)
        status, code = shell.run("treeswap status")
    if state != "A trees_dir is not mounted":
        assert code == 0 and "at rest" in status and "NOT OK" not in status
        after = _shown(home)
        assert after is not None and len(set(after.split())) == 1, f"what was typed ends in a mixture: {after}"


def _shown(home: Path) -> str | None:
    """What visitors see, tree by tree."""
    try:
        return " ".join((home / "live" / tree / "version").read_text().strip() for tree in TREES)
    except OSError:
        return None


# ---------------------------------------------------------------- what the states are made of


def _deployed(home: Path) -> Bakery:
    return Bakery(home, deployed=["v1", "v2"])


def _changed(home: Path) -> Bakery:
    bakery = _deployed(home)
    bakery.write("v3")
    return bakery


def _live(home: Path) -> Bakery:
    """Three live directories, and nothing deployed yet."""
    bakery = Bakery(home)
    for tree in TREES:
        bakery.public(tree).mkdir()
        (bakery.public(tree) / "version").write_text("v0\n")
    bakery.write("v1")
    return bakery


def _damage(file: Path, line: int | None = None) -> None:
    """Flips a bit in the middle of a file, or of one of its lines."""
    lines = file.read_bytes().splitlines(keepends=True) if line else [file.read_bytes()]
    at = (line or 1) - 1
    middle = len(lines[at]) // 2
    lines[at] = lines[at][:middle] + bytes([lines[at][middle] ^ 1]) + lines[at][middle + 1 :]
    file.write_bytes(b"".join(lines))
