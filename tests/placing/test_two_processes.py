"""A large tree is read by two processes: what they find together is what one finds alone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from treeswap import stage
from treeswap.aside import Aside
from treeswap.errors import SourceRefused
from treeswap.manifest import Directory
from treeswap.scan import as_sealed, half, halves, open_root
from treeswap.stage import contents

from .easel import Easel, copied

FILES = {f"{top}/{sub}/{name}": f"{top}{sub}{name}" for top in "abcdefgh" for sub in "xyz" for name in "12345"}


def _put_link(path: Path) -> Path:
    shutil.rmtree(path)
    path.symlink_to("a")
    return path


def _put_file(path: Path) -> Path:
    shutil.rmtree(path)
    path.write_text("a file")
    return path


def _make(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _drop(source: Path, names: str) -> Path:
    for name in names:
        shutil.rmtree(source / name)
    return source


def _close(path: Path) -> Path:
    path.chmod(0o700)
    return path


SOME: dict[str, Callable[[Path], object]] = {
    "nothing": lambda source: source.exists(),
    "a file is changed": lambda source: (source / "b/x/1").write_text("changed"),
    "in every directory one": lambda source: [path.write_text("changed") for path in source.glob("*/*/1")],
    "a file is new": lambda source: (source / "c/new").write_text("new"),
    "a directory is new": lambda source: _make(source / "new/er"),
    "a directory is gone": lambda source: _drop(source, "d"),
    "most are gone": lambda source: _drop(source, "bcdefg"),
    "a file in its place": lambda source: _put_file(source / "e"),
    "a link in its place": lambda source: _put_link(source / "f"),
    "a mode": lambda source: _close(source / "g"),
}


@pytest.fixture(autouse=True)
def every_tree_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "_WORTH_IT", 1)
    monkeypatch.setattr(halves, "_MANY", 1)
    monkeypatch.setattr(halves, "processors", lambda: 2)


def test_about_half_of_a_tree_is_chosen_and_nothing_twice(easel: Easel) -> None:
    easel.write(FILES).place("1")
    directories = easel.manifest.directories
    chosen = half(directories)
    within = {path for path in directories for top in chosen if path == top or path.startswith(top + b"/")}
    assert 0.3 < len(within) / len(directories) < 0.7
    assert not any(one != other and other.startswith(one + b"/") for one in chosen for other in chosen)
    assert half({b"": directories[b""]}) == frozenset()


def test_one_processor_does_all_alone(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    easel.write(FILES).place("1")
    monkeypatch.setattr(halves, "processors", lambda: 1)
    assert half(easel.manifest.directories) == frozenset()


def test_a_first_look_too(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Aside[object]] = []

    def aside(work: Callable[[], object]) -> Aside[object]:
        asked.append(Aside(work))
        return asked[-1]

    monkeypatch.setattr(contents, "Aside", aside)
    easel.write(FILES).write({"file": "at the top", "a/file": "in between", "a/x/deep/er": "below"})
    (easel.source / "b/link").symlink_to("x")
    together = easel.plan()
    monkeypatch.setattr(contents, "every_other", lambda *_: frozenset())
    alone = easel.plan()
    assert len(asked) == 1
    assert (together.counts, together.bytes_needed, together.paths()) == (
        alone.counts,
        alone.bytes_needed,
        alone.paths(),
    )
    assert _told(together) == _told(alone)
    easel.place("1", together)
    assert easel.plan().unchanged


def test_every_second_directory_two_levels_down_is_chosen(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    easel.write(FILES).write({"a/x/deep/er": "below", "top/file": "no directory"})
    assert len(halves.every_other(open_root(easel.source), None)) == 12
    left_out = {"a", "b/x"}
    chosen = halves.every_other(open_root(easel.source), lambda path, _: path in left_out)
    assert len(chosen) == 10 and not any(path.startswith((b"a/", b"b/x")) for path in chosen)
    monkeypatch.setattr(halves, "processors", lambda: 1)
    assert halves.every_other(open_root(easel.source), None) == frozenset()


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("how", SOME)
def test_both_find_together_what_one_finds_alone(
    easel: Easel, monkeypatch: pytest.MonkeyPatch, how: str, settled: bool
) -> None:
    easel.write(FILES)
    if settled:
        time.sleep(2.05)  # from here on the cache knows the source
    easel.place("1")
    SOME[how](easel.source)
    together = easel.plan()
    monkeypatch.setattr(contents, "half", lambda _: frozenset())
    alone = easel.plan()
    assert (copied(together), together.counts) == (copied(alone), alone.counts)
    assert (together.unchanged, together.bytes_needed) == (alone.unchanged, alone.bytes_needed)
    assert together.paths() == alone.paths()
    monkeypatch.undo()
    assert _told(together) == _told(alone)
    easel.place("2", together)
    assert easel.plan().unchanged


def _told(work: stage.TreeWork) -> object:
    return sorted((path, wanted.entry, sorted(wanted.names())) for path, wanted in work.wanted.items())


def test_without_another_process_one_does_it_alone(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    easel.write(FILES).place("1")

    def fork() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)
    (easel.source / "h/z/5").write_text("changed")
    assert copied(easel.plan()) == [b"h/z/5"]
    assert as_sealed(easel.versions / "1", easel.manifest) is not None or os.geteuid() != 0


@pytest.mark.parametrize("top", "ah")
def test_what_one_of_them_cannot_read_is_named(easel: Easel, top: str) -> None:
    easel.write(FILES).place("1")
    os.mkfifo(easel.source / top / "pipe")
    with pytest.raises(SourceRefused, match=f"{top}/pipe"):
        easel.plan()


@pytest.mark.parametrize("top", "abcdefgh")
def test_a_change_in_either_half_is_seen(easel: Easel, top: str) -> None:
    version = easel.write(FILES).place("1")
    if os.geteuid() != 0:
        pytest.skip("owners are kept by root only")
    found = as_sealed(version, easel.manifest)
    assert found is not None and len(found) == len(easel.manifest.directories)
    (version / top / "x" / "1").write_text("longer than before")
    assert as_sealed(version, easel.manifest) is None


def test_the_halves_of_any_tree(easel: Easel) -> None:
    """Also of one that is all in one directory, or one long way down."""
    easel.write({"d/" * 40 + "file": "x"}).place("1")
    flat: dict[bytes, Directory] = dict(easel.manifest.directories)
    assert half(flat) <= flat.keys()
    (easel.source / "d/d/file").write_text("y")
    assert copied(easel.plan()) == [b"d/d/file"]
