"""The example site by itself: a Django project that works in one place and in three, and knows when it is a mixture."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from treeswap import config
from treeswap.demo import example


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    example.make(tmp_path / "mysite")
    return tmp_path / "mysite"


def manage(conf: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TREESWAP_", "MYSITE_"))}
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=conf, env=clean | variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("words", [["check"], ["test", "bakery"], ["versions"]], ids=" ".join)
def test_it_works_in_a_checkout(copied: Path, words: list[str]) -> None:
    result = manage(copied / "conf", *words)
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_works_when_its_parts_are_scattered(copied: Path, tmp_path: Path) -> None:
    shutil.move(copied / "apps", tmp_path / "one place")
    shutil.move(copied / "static", tmp_path / "another")
    assert manage(copied / "conf", "versions").returncode != 0
    result = manage(
        copied / "conf", "versions", MYSITE_APPS=str(tmp_path / "one place"), MYSITE_STATIC=str(tmp_path / "another")
    )
    assert result.stdout == "the page says: code 1, template 1, static 1\n"


def test_the_release_that_a_program_was_started_with_comes_first(copied: Path, tmp_path: Path) -> None:
    example.make(tmp_path / "release")
    example.stamp(tmp_path / "release", "7")
    result = manage(
        tmp_path / "release" / "conf",
        "versions",
        TREESWAP_RELEASE=str(tmp_path / "release"),
        MYSITE_APPS=str(copied / "apps"),
        MYSITE_STATIC=str(copied / "static"),
    )
    assert result.stdout == "the page says: code 7, template 7, static 7\n"


@pytest.mark.parametrize("tree", example.STAMPS)
def test_a_mixture_is_noticed(copied: Path, tree: str) -> None:
    file, text = example.STAMPS[tree]
    (copied / tree / file).write_text(text.format("2"))
    result = manage(copied / "conf", "versions")
    assert result.returncode != 0
    assert "the page is a mixture" in result.stderr


def test_its_configuration_loads() -> None:
    assert set(config.load(example.location() / "treeswap.toml", None, {}).trees) == set(example.STAMPS)
