"""Real inputs through the real program: Django's source distribution in three trees, and a node_modules beside a small
tree. What arrived is judged by find, sha256sum, cmp and readlink, never by what treeswap itself wrote down.

Everything is done once for each input, by `story`; the tests then look at what was seen on the way. One class for each
input, so that each may have a worker of its own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import inputs


@dataclass(frozen=True)
class Fact:
    """What find and sha256sum say of an entry. Times and inodes are only compared where they have to be equal."""

    kind: str
    mode: str
    owner: str
    target: str
    digest: str
    mtime: str = field(compare=False)
    inode: str = field(compare=False)


Facts = dict[str, Fact]


def facts(directory: Path) -> Facts:
    """All that is in a directory, by find and sha256sum."""
    hashed = subprocess.run(
        ["sh", "-c", 'find "$0/" -type f -print0 | xargs -0 --no-run-if-empty sha256sum --zero', directory],
        check=True,
        capture_output=True,
    )
    digests = {}
    for line in os.fsdecode(hashed.stdout).split("\0")[:-1]:
        digest, _, path = line.partition("  ")
        digests[path.removeprefix(f"{directory}/")] = digest
    found = subprocess.run(
        ["find", f"{directory}/", "-mindepth", "1", "-printf", r"%P\0%y\0%m\0%U:%G\0%l\0%T@\0%i\0"],
        check=True,
        capture_output=True,
    )
    words = os.fsdecode(found.stdout).split("\0")[:-1]
    return {
        path: Fact(kind, mode, owner, target, digests.get(path, ""), mtime, inode)
        for path, kind, mode, owner, target, mtime, inode in zip(*[iter(words)] * 7, strict=True)
    }


def readlink(path: Path) -> str:
    return subprocess.run(["readlink", "-f", path], check=True, capture_output=True, text=True).stdout.strip()


def differences(old: Facts, new: Facts) -> dict[str, set[str]]:
    return {
        "added": new.keys() - old.keys(),
        "changed": {path for path in new.keys() & old.keys() if new[path] != old[path]},
        "removed": old.keys() - new.keys(),
    }


NOTHING: dict[str, set[str]] = {"added": set(), "changed": set(), "removed": set()}


@dataclass
class Story:
    """The input's trees by name, what their sources and public paths held at each point, and the program's answers."""

    room: Path
    trees: tuple[str, ...]
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Facts]] = field(default_factory=dict)
    public: dict[str, dict[str, Facts]] = field(default_factory=dict)
    directories: dict[str, dict[str, str]] = field(default_factory=dict)

    def source(self, tree: str) -> Path:
        return self.room / "new" / tree

    def path(self, tree: str) -> Path:
        return self.room / f"place-of-{tree}" / tree

    def run(self, when: str, *words: str) -> None:
        """One command, and where the public paths lead after it."""
        result = subprocess.run(
            [sys.executable, "-m", "treeswap", *words, "--json"], cwd=self.room, capture_output=True, text=True
        )
        assert result.stdout, result.stderr
        self.answers[when] = json.loads(result.stdout)
        self.directories[when] = {tree: readlink(self.path(tree)) for tree in self.trees}

    def look(self, when: str) -> None:
        self.sources[when] = {tree: facts(self.source(tree)) for tree in self.trees}
        self.public[when] = {tree: facts(self.path(tree)) for tree in self.trees}

    def copy(self, when: str) -> None:
        self.run(when, "copy", *(f"{self.source(tree)}:{self.path(tree)}" for tree in self.trees))


def change_one_in_a_hundred(story: Story) -> None:
    """Of each tree's files, seeded: some edited, some of them at the same size with the old time put back; some
    chmodded, removed, replaced by a symlink, or given a new neighbour."""
    choose = random.Random(20)
    for tree in story.trees:
        files = sorted(path for path in story.source(tree).rglob("*") if path.is_file() and not path.is_symlink())
        chosen = choose.sample([file for file in files if file.stat().st_size], max(len(files) // 100, 1))
        for number, file in enumerate(chosen):
            before = file.stat()
            match number % 6:
                case 0:
                    file.write_bytes(file.read_bytes() + b"\n# one line more\n")
                case 1:
                    content = file.read_bytes()
                    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
                    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
                case 2:
                    file.chmod(before.st_mode ^ 0o110)
                case 3:
                    file.unlink()
                case 4:
                    file.unlink()
                    file.symlink_to("somewhere/that is not there")
                case 5:
                    file.with_name(file.name + " (copy)").write_bytes(b"new\n" * choose.randrange(1, 5000))


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """While the block runs, the first byte of the file is another, and neither size nor time tells."""
    flip_first_byte(file)
    yield
    flip_first_byte(file)


def flip_first_byte(file: Path) -> None:
    before = file.stat()
    with file.open("r+b") as opened:
        byte = opened.read(1)[0]
        opened.seek(0)
        opened.write(bytes([byte ^ 255]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="class")
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    room = tmp_path_factory.mktemp("real")
    try:
        story = Story(room, request.cls.prepare(room / "new"))
    except inputs.Unavailable as why:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(why))
    first = story.path(story.trees[0])
    site = ("--site", str(first))
    for tree in story.trees:
        story.path(tree).parent.mkdir()
    story.copy("first")
    story.look("first")
    story.copy("unchanged")
    change_one_in_a_hundred(story)
    story.copy("changed")
    story.look("changed")
    story.run("diff", "diff", "previous", "current", *site)
    story.run("verified", "verify", *site)
    # A file of both versions, which is one inode.
    unchanged = (file for file in sorted(first.rglob("*.js")) if file.stat().st_nlink > 1 and file.stat().st_size)
    with damaged(next(unchanged)):
        story.look("damaged")
        story.run("damaged", "verify", *site)
        story.run("refused", "rollback", *site)
    story.run("mended", "verify", *site)
    story.run("rolled back", "rollback", *site)
    story.look("rolled back")
    yield story
    shutil.rmtree(room)


class RealInput:
    """What holds for either; `prepare` puts the input's trees into a directory and says their names."""

    at_least: int

    @staticmethod
    def prepare(new: Path) -> tuple[str, ...]:
        raise NotImplementedError

    def test_it_is_as_large_as_it_is_meant_to_be(self, story: Story) -> None:
        files = sum(fact.kind == "f" for tree in story.sources["first"].values() for fact in tree.values())
        assert files > self.at_least

    def test_a_first_copy_brings_everything_with_its_times(self, story: Story) -> None:
        assert story.answers["first"]["exit"] == 0
        for tree in story.trees:
            source, public = story.sources["first"][tree], story.public["first"][tree]
            assert differences(source, public) == NOTHING
            assert {p: f.mtime for p, f in source.items()} == {p: f.mtime for p, f in public.items()}

    def test_an_unchanged_copy_makes_nothing(self, story: Story) -> None:
        assert (story.answers["unchanged"]["exit"], story.answers["unchanged"]["changed"]) == (0, False)
        assert story.directories["unchanged"] == story.directories["first"]

    def test_a_changed_copy_brings_exactly_the_changes(self, story: Story) -> None:
        assert story.answers["changed"]["exit"] == 0
        for tree in story.trees:
            source, public = story.sources["changed"][tree], story.public["changed"][tree]
            assert differences(source, public) == NOTHING
            assert differences(story.public["first"][tree], public) != {
                "added": set(),
                "changed": set(),
                "removed": set(),
            }

    def test_cmp_finds_no_difference_in_what_was_edited(self, story: Story) -> None:
        for tree in story.trees:
            expected = differences(story.sources["first"][tree], story.sources["changed"][tree])
            version = Path(story.directories["changed"][tree])
            for path in expected["changed"] | expected["added"]:
                if story.sources["changed"][tree][path].kind == "f":
                    subprocess.run(["cmp", story.source(tree) / path, version / path], check=True)

    def test_what_did_not_change_is_linked_and_keeps_its_time(self, story: Story) -> None:
        linked = 0
        for tree in story.trees:
            old, new = story.public["first"][tree], story.public["changed"][tree]
            unchanged = [path for path in old.keys() & new.keys() if old[path] == new[path] and old[path].kind == "f"]
            for path in unchanged:
                assert (new[path].inode, new[path].mtime) == (old[path].inode, old[path].mtime), path
            linked += len(unchanged)
        assert linked > 0.97 * sum(
            fact.kind == "f" for tree in story.public["first"].values() for fact in tree.values()
        )

    def test_diff_names_what_changed(self, story: Story) -> None:
        answer = story.answers["diff"]
        assert answer["exit"] == 0
        for tree in story.trees:
            expected = differences(story.sources["first"][tree], story.sources["changed"][tree])
            for what, paths in expected.items():
                assert set(answer["trees"][tree][what]) == paths, (tree, what)

    def test_verify_agrees_and_names_the_one_damaged_byte(self, story: Story) -> None:
        assert (story.answers["verified"]["exit"], story.answers["verified"]["problems"]) == (0, [])
        answer = story.answers["damaged"]
        assert answer["exit"] == 16
        tree = story.trees[0]
        really = differences(story.public["changed"][tree], story.public["damaged"][tree])["changed"]
        assert len(really) == 1
        assert {problem["path"] for problem in answer["problems"]} == really

    def test_a_rollback_to_what_was_found_damaged_is_refused_until_it_is_mended(self, story: Story) -> None:
        assert story.answers["refused"]["exit"] == 12
        assert story.directories["refused"] == story.directories["changed"]
        assert (story.answers["mended"]["exit"], story.answers["mended"]["problems"]) == (0, [])

    def test_rollback_brings_back_the_very_directories(self, story: Story) -> None:
        assert story.answers["rolled back"]["exit"] == 0, story.answers["rolled back"]["error"]
        assert story.directories["rolled back"] == story.directories["first"] != story.directories["changed"]
        for tree in story.trees:
            before, after = story.public["first"][tree], story.public["rolled back"][tree]
            assert differences(before, after) == NOTHING
            assert {p: (f.mtime, f.inode) for p, f in before.items()} == {
                p: (f.mtime, f.inode) for p, f in after.items()
            }


class TestDjango(RealInput):
    """The sdist in three: the package, its documentation, and all the rest."""

    at_least = 6_000

    @staticmethod
    def prepare(new: Path) -> tuple[str, ...]:
        unpacked = inputs.django()
        shutil.copytree(unpacked, new / "rest", symlinks=True)
        for part in ("django", "docs"):
            (new / "rest" / part).rename(new / part)
        return ("django", "docs", "rest")


class TestNodeModules(RealInput):
    """A node_modules, and beside it the two files that it was made from."""

    at_least = 20_000

    @staticmethod
    def prepare(new: Path) -> tuple[str, ...]:
        shutil.copytree(inputs.node_modules(), new / "modules", symlinks=True)
        shutil.copytree(inputs.DATA / "node", new / "app")
        return ("modules", "app")
