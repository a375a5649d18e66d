"""A large version is made by two processes: what they make together is what one makes alone."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from treeswap import stage
from treeswap.errors import SourceRefused
from treeswap.outcomes import Event
from treeswap.scan import examine, halves
from treeswap.stage import placing
from treeswap.stage.filling import Filling
from treeswap.stage.part import Part, towards
from treeswap.stage.placing import Placing

from .easel import Easel, copied

FILES = {f"{top}/{sub}/{name}": f"{top}{sub}{name}" for top in "abcdefgh" for sub in "xyz" for name in "12345"}
_other_part = Placing._other_part


@pytest.fixture(autouse=True)
def every_version_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_WORTH_IT", 1)
    monkeypatch.setattr(halves, "processors", lambda: 2)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "half_of", lambda *_: frozenset())


def dressed(easel: Easel) -> Easel:
    """With all that a file or directory may have."""
    easel.write(FILES)
    for path in (easel.source / "a/x/1", easel.source / "h/z", easel.source / "e"):
        os.setxattr(path, "user.mark", b"kept")
    for number, path in enumerate(sorted(easel.source.rglob("*"))):
        if path.is_dir():
            path.chmod((0o755, 0o750, 0o2775)[number % 3])
        else:
            path.chmod((0o644, 0o600, 0o444, 0o4755, 0o604)[number % 5])
        os.utime(path, ns=(1_500_000_000_000_000_000 + number, 1_600_000_000_000_000_000 + number))
    (easel.source / "b/link").symlink_to("../c")
    (easel.source / "g/y/link").symlink_to("nowhere")
    return easel


def look(version: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in [version, *sorted(version.rglob("*"))]:
        status = path.lstat()
        where = path.relative_to(version)
        found.append((where, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns))
    return found


def makes_with_another(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each of the others made from here on, as it tells."""
    made: list[int] = []
    add = Part.add

    def noted(self: Part, other: Part, learned: object) -> None:
        made.append(other.linked + other.copied)
        add(self, other, learned)  # type: ignore[arg-type]

    monkeypatch.setattr(Part, "add", noted)
    return made


def test_both_make_together_what_one_makes_alone(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    dressed(easel)
    others = makes_with_another(easel, monkeypatch)
    work = easel.plan()
    together = easel.place("1", work)
    manifest, counts = easel.manifest, easel.counts
    assert len(others) == 1 and 0.3 < others[0] / counts.copied < 0.7
    alone(monkeypatch)
    easel.base = None
    by_one = easel.place("2", easel.plan())
    assert look(together) == look(by_one)
    assert (manifest.dump(), counts) == (easel.manifest.dump(), easel.counts)
    assert len(others) == 1
    assert examine(together, manifest) == []


def test_links_too(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    dressed(easel).place("1")
    for path in easel.source.glob("*/*/3"):
        path.write_text("changed")
    (easel.source / "new/er").mkdir(parents=True)
    (easel.source / "new/er/file").write_text("new")
    others = makes_with_another(easel, monkeypatch)
    work, base, cache = easel.plan(), easel.base, easel.cache
    together = easel.place("2", work)
    manifest, counts = easel.manifest, easel.counts
    assert others and counts.copied == 25
    assert (together / "a/x/1").samefile(easel.versions / "1/a/x/1")
    assert examine(together, manifest) == []
    easel.base, easel.cache = base, cache
    alone(monkeypatch)
    easel.place("3", easel.plan())
    assert manifest.digest == easel.manifest.digest
    assert counts == easel.counts


def test_what_the_other_learned_is_known(easel: Easel) -> None:
    easel.write(FILES)
    time.sleep(2.05)
    work = easel.plan()
    easel.place("1", work)
    assert easel.cache.directories.keys() == easel.manifest.directories.keys()
    assert sum(len(known.files()) for known in easel.cache.directories.values()) == len(FILES)
    assert easel.plan().unchanged


def _dies(_: Placing, *__: object) -> Part:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _fails(_: Placing, *__: object) -> Part:
    raise OSError(28, "no space")


def _dies_late(self: Placing, *arguments: object) -> Part:
    _other_part(self, *arguments)  # type: ignore[arg-type]
    return _dies(self)


def _dies_half_way(self: Placing, *arguments: object) -> Part:
    made = []
    file = Filling._file

    def counted(*these: object) -> object:
        made.append(these)
        if len(made) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return file(*these)  # type: ignore[arg-type]

    Filling._file = counted  # type: ignore[method-assign, assignment]
    return _other_part(self, *arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [_dies, _dies_half_way, _dies_late, _fails])
def test_what_the_other_does_not_finish_is_made_by_one(
    easel: Easel, monkeypatch: pytest.MonkeyPatch, how: Callable[..., Part]
) -> None:
    dressed(easel)
    monkeypatch.setattr(Placing, "_other_part", how)
    others = makes_with_another(easel, monkeypatch)
    together = easel.place("1")
    assert others == []
    manifest, counts = easel.manifest, easel.counts
    assert examine(together, manifest) == []
    alone(monkeypatch)
    easel.base = None
    assert look(together) == look(easel.place("2", easel.plan()))
    assert (manifest.dump(), counts) == (easel.manifest.dump(), easel.counts)


@pytest.mark.parametrize("how", [None, _dies, _dies_half_way, _dies_late, _fails])
def test_a_version_that_was_given_up_becomes_the_same(
    easel: Easel, monkeypatch: pytest.MonkeyPatch, how: Callable[..., Part] | None
) -> None:
    """If the other process does not finish, it is made from nothing."""
    given_up, held = dressed(easel).place("1"), easel.manifest
    shutil.rmtree(easel.source / "c")
    (easel.source / "c").write_text("a file now")
    for path in easel.source.glob("*/*/3"):
        path.write_text("changed")
    easel.place("2")
    (easel.source / "c").unlink()
    easel.write({f"c/w/{name}": name for name in "12345"}).write({f"{top}/x/2": "again" for top in "abcdefgh"})
    others = makes_with_another(easel, monkeypatch)
    if how:
        monkeypatch.setattr(Placing, "_other_part", how)
    reused = easel.versions / "reused"
    given_up.rename(reused)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    work, sealed_ns = easel.plan(), easel.sealed_ns
    manifest, counts = stage.place(work, reused, now=now, last_seal_ns=sealed_ns, held=held)
    assert bool(others) == (how is None)
    assert examine(reused, manifest) == []
    alone(monkeypatch)
    fresh = easel.place("fresh", easel.plan(), now=now)
    assert (manifest.dump(), counts) == (easel.manifest.dump(), easel.counts)
    without_links = [line[:4] + line[5:] for line in look(reused)]
    assert without_links == [line[:4] + line[5:] for line in look(fresh)]


@pytest.mark.parametrize("top", "abcdefgh")
def test_a_source_that_changes_is_refused_by_either(easel: Easel, top: str) -> None:
    work = easel.write(FILES).plan()
    (easel.source / top / "x" / "1").unlink()
    with pytest.raises(SourceRefused, match=f"{top}/x/1"):
        easel.place("1", work)
    assert not (easel.versions / "1").exists()


def test_what_fails_here_ends_the_other(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    work = easel.write(FILES).plan()

    def slow(self: Placing, *arguments: object) -> Part:
        time.sleep(600)
        return Part()

    monkeypatch.setattr(Placing, "_other_part", slow)
    mine = [path for path in work.wanted if not any(path.startswith(top) for top in _of_other(work))]
    gone = next(path for path in mine if path.count(b"/") == 1)
    (easel.source / os.fsdecode(gone) / "1").unlink()
    with pytest.raises(SourceRefused):
        easel.place("1", work)
    assert not (easel.versions / "1").exists()


def _of_other(work: stage.TreeWork) -> frozenset[bytes]:
    return halves.half_of({path: len(wanted.entries) for path, wanted in work.wanted.items()}, 1)


def test_progress_never_goes_back_and_ends_with_all(easel: Easel) -> None:
    told: list[Event] = []
    easel.write(FILES).place("1", listener=told.append)
    done = [event.done for event in told if event.step == "stage"]
    assert done == sorted(done)
    assert done[-1] == len(FILES)


def test_ways_lead_to_what_is_chosen_and_below() -> None:
    below = {b"": [b"a", b"b"], b"a": [b"a/x", b"a/y"], b"a/x": [b"a/x/1"]}
    assert towards([b"a/x"], below) == {b"": [b"a"], b"a": [b"a/x"], b"a/x": [b"a/x/1"], b"a/x/1": []}
    assert towards([b"a", b"b"], {}) == {b"": [b"a", b"b"], b"a": [], b"b": []}
    assert towards([], {}) == {}


def test_a_long_way_down(easel: Easel) -> None:
    """Longer than a path may be."""
    deep = "d" * 200
    source = os.open(easel.source, os.O_RDONLY)
    for _ in range(30):
        os.mkdir(deep, dir_fd=source)
        below = os.open(deep, os.O_RDONLY, dir_fd=source)
        os.close(source)
        source = below
        for number in range(9):
            os.close(os.open(f"file {number}", os.O_WRONLY | os.O_CREAT, dir_fd=source))
    os.close(source)
    easel.write(FILES)
    version = easel.place("1")
    assert examine(version, easel.manifest) == []
    assert copied(easel.plan()) == []
