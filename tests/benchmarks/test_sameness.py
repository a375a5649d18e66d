"""The benchmark's own comparison of what came out of a deploy with what went in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.sameness import differences


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A small tree with every kind of entry that is compared, and a copy of it."""
    wanted, found = tmp_path / "wanted", tmp_path / "found"
    (wanted / "room" / "inner").mkdir(parents=True)
    (wanted / "empty").mkdir()
    (wanted / "room" / "file").write_text("content")
    (wanted / "room" / "inner" / "program").write_text("#!/bin/sh\n")
    (wanted / "room" / "inner" / "program").chmod(0o755)
    (wanted / "link").symlink_to("room/file")
    shutil.copytree(wanted, found, symlinks=True)
    return wanted, found


def test_a_copy_is_the_same(pair: tuple[Path, Path]) -> None:
    assert list(differences(*pair)) == []


def _other_link(found: Path) -> None:
    (found / "link").unlink()
    (found / "link").symlink_to("room")


def _file_for_link(found: Path) -> None:
    (found / "link").unlink()
    (found / "link").write_text("content")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda found: (found / "room/file").unlink(), "room/file is missing"),
    "a missing directory": (lambda found: shutil.rmtree(found / "room/inner"), "room/inner is missing"),
    "a missing empty directory": (lambda found: (found / "empty").rmdir(), "empty is missing"),
    "a file too much": (lambda found: (found / "room/inner/more").touch(), "room/inner/more is too much"),
    "other content": (lambda found: (found / "room/file").write_text("CONTENT"), "room/file: other content"),
    "another size": (lambda found: (found / "room/file").write_text("conten"), "room/file: 6 bytes, not 7"),
    "another mode": (lambda found: (found / "room/file").chmod(0o600), "room/file: -rw-r--r-- became -rw-------"),
    "a directory's mode": (lambda found: (found / "empty").chmod(0o700), "empty: drwxr-xr-x became drwx------"),
    "another link": (_other_link, "link: leads to room, not to room/file"),
    "a file for a link": (_file_for_link, "link: lrwxrwxrwx became -rw-r--r--"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_difference_is_named(pair: tuple[Path, Path], name: str) -> None:
    for path in pair:
        for room, directories, files in os.walk(path):
            for below in (*directories, *files):
                entry = Path(room, below)
                if not entry.is_symlink():
                    entry.chmod(0o755 if entry.is_dir() or entry.name == "program" else 0o644)
    change, sentence = CHANGES[name]
    change(pair[1])
    assert list(differences(*pair)) == [sentence]


def test_content_that_is_not_read_is_not_missed(pair: tuple[Path, Path]) -> None:
    (pair[1] / "room/file").write_text("CONTENT")
    assert list(differences(*pair, read=lambda path: path != "room/file")) == []
    assert list(differences(*pair, read=lambda path: path == "room/file")) == ["room/file: other content"]


def test_what_files_are_to_hold_instead(pair: tuple[Path, Path]) -> None:
    before = {"room/file": b"before"}
    assert list(differences(*pair, instead=before, read=lambda _: False)) == ["room/file: 7 bytes, not 6"]
    (pair[1] / "room/file").write_text("BEFORE")
    assert list(differences(*pair, instead=before, read=lambda _: False)) == ["room/file: other content"]
    (pair[1] / "room/file").write_text("before")
    assert list(differences(*pair, instead=before)) == []


def test_what_git_does_not_keep(pair: tuple[Path, Path]) -> None:
    (pair[1] / "empty").rmdir()
    (pair[1] / "room/file").chmod(0o600)
    (pair[1] / "room").chmod(0o700)
    assert list(differences(*pair, as_in_git=True)) == []
    (pair[1] / "room/inner/program").chmod(0o644)
    (pair[1] / "room/file").unlink()
    assert len(list(differences(*pair, as_in_git=True))) == 2
