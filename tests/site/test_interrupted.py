"""A process that is killed at any moment leaves one whole release in view, and nothing that the next change does not
clear (invariants 1, 5 and 7 of docs/on-disk.md).

Each story is told once to count its changes of the disk, and then again, from the same beginning, with a SIGKILL just
before one of them: at every one that moves a name, and at some of the others.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import Bench, as_nobody, read_tree
from filesystems import Mounts
from killing import changes_of, run_until, run_with_failure
from treeswap.durable import system

MOVING = {"rename", "renameat2", "sync"}
OTHERS = 12
"""Of the changes that move no name, so many are tried."""


@dataclass(frozen=True)
class Story:
    """`begin` sets the stage, `act` is interrupted; the public paths may show only `texts` at any time (None:
    nothing). `gap`: a public path may be missing until the site is recovered."""

    begin: Callable[[Bench], object]
    act: Callable[[Bench], object]
    texts: tuple[str | None, ...]
    gap: bool = False


def _live(bench: Bench) -> None:
    for name in ("apps", "conf"):
        bench.live(name, {"f": "v0", "sub/g": "v0"})
    bench.live("apps", {"up/constant": "photo"})
    bench.version("v1", "apps", "conf")


def _deployed(*texts: str, **flags: object) -> Callable[[Bench], object]:
    def begin(bench: Bench) -> None:
        for text in texts:
            bench.version(text, "apps", "conf").deploy(**flags)  # type: ignore[arg-type]

    return begin


def _then(begin: Callable[[Bench], object], more: Callable[[Bench], object]) -> Callable[[Bench], object]:
    def both(bench: Bench) -> None:
        begin(bench)
        more(bench)

    return both


def _joined(bench: Bench) -> None:
    _deployed("v1")(bench)
    bench.version("v2", "apps", "conf", "docs").deploy(add=True)


def _rolled_over_a_new_tree(bench: Bench) -> None:
    bench.rollback(bench.ids[0])


def _staged_beside_live(bench: Bench) -> None:
    _live(bench)
    bench.stage(adopt=True)


def _without_flags(act: Callable[[Bench], object]) -> Callable[[Bench], object]:
    """As on a filesystem whose renameat2 takes no flags."""

    def refuse(one: Path, other: Path, flags: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(one))

    def run(bench: Bench) -> None:
        system.renameat2 = refuse
        act(bench)

    return run


STORIES = {
    "first": Story(lambda b: b.version("v1", "apps", "conf"), lambda b: b.deploy(), (None, "v1")),
    "later": Story(
        _then(_deployed("v1"), lambda b: b.version("v2", "apps", "conf")), lambda b: b.deploy(), ("v1", "v2")
    ),
    "pruning": Story(
        _then(_deployed("v1", "v2", "v3", keep=1, grace=0.0), lambda b: b.version("v4", "apps", "conf")),
        lambda b: b.deploy(),
        ("v3", "v4"),
    ),
    "stage": Story(_then(_deployed("v1"), lambda b: b.version("v2", "apps", "conf")), lambda b: b.stage(), ("v1",)),
    "adopt": Story(_live, lambda b: b.deploy(adopt=True, shared=["apps/up/"]), ("v0", "v1")),
    "adopt only": Story(_live, lambda b: b.adopt("apps", "conf", shared=["apps/up/"]), ("v0",)),
    "adopt at the switch": Story(_staged_beside_live, lambda b: b.switch(b.ids[0], adopt=True), ("v0", "v1")),
    "adopt through a gap": Story(
        _live,
        _without_flags(lambda b: b.deploy(adopt=True, allow_gap=True, shared=["apps/up/"])),
        ("v0", "v1"),
        gap=True,
    ),
    "add": Story(
        _then(_deployed("v1"), lambda b: b.version("v2", "apps", "conf", "docs")),
        lambda b: b.deploy(add=True),
        ("v1", "v2"),
    ),
    "rollback": Story(_deployed("v1", "v2"), lambda b: b.rollback(), ("v1", "v2")),
    "rollback over a new tree": Story(_joined, _rolled_over_a_new_tree, ("v1", "v2")),
    "switch": Story(_deployed("v1", "v2"), lambda b: b.switch(b.ids[0]), ("v1", "v2")),
    "prune": Story(_deployed("v1", "v2", "v3", "v4"), lambda b: b.prune(keep=1, grace=0.0), ("v4",)),
    "unadopt": Story(_deployed("v1", shared=["apps/up/"]), lambda b: b.unadopt(), ("v1",)),
    "unadopt one": Story(_deployed("v1"), lambda b: b.unadopt("conf"), ("v1",)),
}


class Stage:
    """A bench that can be put back to the beginning of a story. It is in memory: a SIGKILL takes nothing from the page
    cache, and a thousand beginnings need not go to the disk."""

    def __init__(self, room: Path, story: Story) -> None:
        self.story, self._room, self.log = story, room, room / "log"
        self.root, self._saved = room / "root", room / "saved"
        self.root.mkdir()
        self.bench = Bench(self.root)
        story.begin(self.bench)
        subprocess.run(["cp", "-a", self.root, self._saved], check=True)

    def again(self) -> Bench:
        shutil.rmtree(self.root)
        subprocess.run(["cp", "-a", self._saved, self.root], check=True)
        return self.bench

    def act(self) -> None:
        self.story.act(self.bench)


@pytest.fixture
def stage(request: pytest.FixtureRequest, mounts: Mounts) -> Iterator[Stage]:
    room = mounts.room()
    try:
        yield Stage(room, STORIES[request.param])
    finally:
        shutil.rmtree(room)


def shown(bench: Bench) -> dict[str, str | None]:
    """What each public path shows: one text, or None where nothing is to be read."""
    texts: dict[str, str | None] = {}
    for name, path in bench.paths.items():
        if not path.is_dir():
            texts[name] = None
            continue
        files = {file: text for file, text in read_tree(path).items() if file.rpartition("/")[2] in ("f", "g")}
        assert set(files) == {"f", "sub/g"}, f"{path} is not whole: {sorted(files)}"
        assert len(set(files.values())) == 1, f"{path} is a mixture: {files}"
        texts[name] = files["f"].decode()
    return texts


def one_whole_release(stage: Stage, *, recovered: bool) -> None:
    """Invariants 1 and 5."""
    texts = shown(stage.bench)
    if stage.story.gap and not recovered:
        texts = {name: text for name, text in texts.items() if text is not None}
    served = set(texts.values())
    if "docs" in texts and texts["docs"] is None:
        served -= {None}  # it has not joined yet
        assert served == {"v1"}, texts
    if "docs" in texts and stage.story.act is _rolled_over_a_new_tree:
        served = {text for name, text in texts.items() if name != "docs"}
        assert texts["docs"] == "v2"
    assert len(served) == 1 and served <= set(stage.story.texts), texts


def status_tells(bench: Bench) -> None:
    """Whoever looks learns whether something was interrupted, and is never met with an error."""
    if not (bench.site_root / ".treeswap/site.json").exists():
        return
    status = bench.site.status()
    assert status.state in ("rest", "interrupted")
    assert (status.state == "interrupted") == bool(status.interrupted) == bool(status.advice)
    assert all(tree.ok for tree in status.trees.values()), status.trees
    bench.site.releases()
    bench.site.history()


def next_change(stage: Stage, number: int) -> None:
    """Recognises and clears everything (invariant 7)."""
    bench = stage.bench
    if bench.site.exists and bench.strange():
        assert bench.site.status().state == "interrupted", bench.strange()
    if number % 3 == 1 and bench.site.exists and bench.site.status().rollback_to:
        bench.rollback()
        assert None not in shown(bench).values() or "docs" in bench.paths
    if number % 3 == 2 and bench.site.exists:
        bench.recover()
        one_whole_release(stage, recovered=True)
        bench.rests()
    bench.version("next", *bench.paths).deploy(adopt=True, add=True, allow_gap=stage.story.gap)
    bench.shows("next").rests()


def points(changes: list[str]) -> list[int]:
    """The numbers of the changes before which to die."""
    every = len(changes) // OTHERS or 1
    return [n for n, name in enumerate(changes, 1) if name in MOVING or n % every == 0 or n == len(changes)]


def die_at(stage: Stage, number: int) -> None:
    bench = stage.again()
    assert not run_until(number, stage.act, stage.log), "it was to be killed"
    one_whole_release(stage, recovered=False)
    if stage.story.gap:
        bench.recover() if bench.site.exists else None
    status_tells(bench)
    as_nobody(lambda: status_tells(bench))
    next_change(stage, number)


@pytest.mark.parametrize("stage", STORIES, indirect=True)
def test_killed_anywhere(stage: Stage) -> None:
    changes = changes_of(stage.act, stage.log)
    one_whole_release(stage, recovered=True)
    for number in points(changes):
        try:
            die_at(stage, number)
        except BaseException as error:
            error.add_note(f"killed before change {number} of {len(changes)}, {changes[number - 1]}")
            raise


@pytest.mark.parametrize("stage", ["adopt", "unadopt", "pruning", "adopt through a gap"], indirect=True)
def test_recovery_is_killed_too(stage: Stage) -> None:
    """Whatever clears can itself be interrupted anywhere, and be run again."""
    changes = changes_of(stage.act, stage.log)
    numbers = points(changes)
    for number in numbers[len(numbers) // 3 :: 5]:
        bench = stage.again()
        assert not run_until(number, stage.act, stage.log)
        if not bench.site.exists:
            continue
        recovering = 1
        while not run_until(recovering, bench.recover, stage.log):
            one_whole_release(stage, recovered=False)
            recovering += 1
        one_whole_release(stage, recovered=True)
        bench.rests()


def fail_at(stage: Stage, number: int) -> None:
    bench = stage.again()
    before = shown(bench)
    code = run_with_failure(number, stage.act, stage.log)
    assert code in (0, 12, 17), f"exit code {code}"
    one_whole_release(stage, recovered=False)
    if stage.story.gap and bench.site.exists:
        bench.recover()
    if code == 12:
        assert {shown(bench)[name] for name in before} == set(before.values()), "it said that nothing was switched"
    status_tells(bench)
    next_change(stage, number)


@pytest.mark.parametrize("stage", STORIES, indirect=True)
def test_the_disk_fails_once_anywhere(stage: Stage) -> None:
    """It ends in either release, whole, and the exit code says which."""
    changes = changes_of(stage.act, stage.log)
    for number in points(changes)[::3]:
        try:
            fail_at(stage, number)
        except BaseException as error:
            error.add_note(f"change {number} of {len(changes)} failed, {changes[number - 1]}")
            raise
