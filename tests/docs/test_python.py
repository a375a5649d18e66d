"""The page about the library: its names are those of the library, its examples run."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import treeswap
from treeswap import errors

from .pages import DOCS, ROOT, Block, blocks, code, rows, section

PAGE = DOCS / "python.md"
EXAMPLES = [block for page in (PAGE, ROOT / "README.md") for block in blocks(page, "python")]
TREES = ("apps", "conf", "media")


def test_the_public_names_are_told() -> None:
    assert sorted(code(row[0])[0] for row in rows(section(PAGE, "Public names"))) == sorted(treeswap.__all__)


def test_the_verbs_are_told_and_none_invented() -> None:
    said = " ".join(section(PAGE, "A site and its verbs"))
    mentioned = set(re.findall(r"(?:site|Site)\.(\w+)\(", said)) | set(re.findall(r"`(plan\w*)`", said))
    everything = {name for name, _ in inspect.getmembers(treeswap.Site, callable)}
    verbs = {name for kind in treeswap.Site.__mro__ if kind.__name__ == "Site" for name in vars(kind)} & everything
    assert {name for name in verbs if not name.startswith("_")} - {"complete"} <= mentioned <= everything


def test_the_verbs_take_what_is_told() -> None:
    for row in rows(section(PAGE, "A site and its verbs")):
        for call in code(row[0]):
            found = re.fullmatch(r"(?:site|Site)\.(\w+)\((.*)\)", call)
            assert found, call
            known = inspect.signature(getattr(treeswap.Site, found[1])).parameters
            given = [word.partition("=")[0] for word in found[2].split(", ") if word]
            if found[1] == "request_for":  # its keywords pass through
                from treeswap.site import asking

                known = inspect.signature(asking.request_for).parameters
            assert set(given) <= set(known), call


def test_the_errors_that_are_named_exist() -> None:
    for name in re.findall(r"errors\.([A-Z]\w+)", PAGE.read_text(encoding="utf-8")):
        assert issubclass(getattr(errors, name), treeswap.TreeswapError)


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_each_example_runs(block: Block, tmp_path: Path) -> None:
    for tree in TREES:
        source = tmp_path / "build" / tree
        source.mkdir(parents=True)
        (source / "base.html").write_text(tree)
    live = tmp_path / "live/media/uploads"
    live.mkdir(parents=True)
    (live / "loaf.jpg").write_text("a photograph")
    trees = {tree: treeswap.Tree(tree) for tree in TREES}
    site = treeswap.Site.create(tmp_path / "site", trees=trees)
    site.switch(site.stage({tree: tmp_path / "build" / tree for tree in TREES}))
    for tree in TREES:
        (tmp_path / "build" / tree / "base.html").write_text(f"new {tree}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
