"""A version made in the place of one that was given up is the one that would have been made from nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from treeswap import stage
from treeswap.manifest import Manifest
from treeswap.scan import as_sealed, halves
from treeswap.stage import Base, placing
from treeswap.stage.part import Part

from . import oracle, zoo
from .easel import Easel

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["one process", "two processes", "the other one dies"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a version is."""
    if request.param == "one process":
        return
    monkeypatch.setattr(placing, "_WORTH_IT", 1)
    monkeypatch.setattr(halves, "processors", lambda: 2)
    if request.param == "the other one dies":
        monkeypatch.setattr(placing.Placing, "_other_part", _dies)


def _dies(_: placing.Placing, *__: object) -> Part:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def both_ways(easel: Easel, given_up: Path, held: Manifest) -> tuple[Path, Path]:
    """The next version, made from nothing and in the place of `given_up`: equal in all that find(1) tells."""
    base, cache, sealed_ns = easel.base, easel.cache, easel.sealed_ns
    fresh = easel.place("fresh", now=NOW)
    from_nothing = easel.manifest
    easel.base, easel.cache = base, cache
    reused = easel.versions / "reused"
    given_up.rename(reused)
    manifest, counts = stage.place(easel.plan(), reused, now=NOW, last_seal_ns=sealed_ns, held=held)
    assert manifest.dump() == from_nothing.dump()
    assert counts == easel.counts
    assert oracle.facts(reused) == oracle.facts(fresh)
    assert oracle.attributes(reused) == oracle.attributes(fresh)
    assert as_sealed(reused, manifest) or os.geteuid() != 0
    if base is not None and base.linkable:
        linked = oracle.inodes(base.directory)
        own = {path for path, inode in oracle.inodes(fresh).items() if inode != linked.get(path)}
        assert own == {path for path, inode in oracle.inodes(reused).items() if inode != linked.get(path)}
    return fresh, reused


def grown(easel: Easel, rng: random.Random) -> None:
    """Changes something or other in the source."""
    names = ["a", "b", "sub", "sub/a", "sub/b", "sub/deep", "sub/deep/a", "other", "other/a"]
    for name in rng.sample(names, rng.randint(1, 5)):
        path = easel.source / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        if not path.parent.is_dir():
            continue
        match rng.randint(0, 6):
            case 0 | 1:
                path.write_bytes(rng.choice([b"one", b"two", b"three"]))
                path.chmod(rng.choice([0o644, 0o600]))
            case 2:
                path.symlink_to(rng.choice(["a", "b"]))
            case 3 | 4:
                path.mkdir(mode=rng.choice([0o755, 0o700, 0o2755]))
                (path / "inside").write_bytes(b"one")
            case 5:
                path.mkdir()
                os.setxattr(path, "user.note", rng.choice([b"x", b"y"]))
                zoo.run("setfacl", "-d", "-m", "u:1234:rwx", str(path))


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("seed", range(60))
def test_any_three_versions(room: Path, seed: int) -> None:
    rng = random.Random(seed)
    easel = Easel(room)
    if rng.random() < 0.3:
        easel.with_tree(shared=("kept/shared/",), touch=("a",))
        (easel.shared_root / "kept/shared").mkdir(parents=True)
    for _ in range(3):
        grown(easel, rng)
    given_up = easel.place("1")
    held = easel.manifest
    for name in ("2", "3")[: rng.randint(0, 2)]:
        grown(easel, rng)
        easel.place(name)
    if easel.base is not None and easel.base.directory == given_up:
        # Nothing to link from: as where what is served was damaged.
        easel.base = rng.choice([None, Base(held, easel.versions / "gone", linkable=False)])
    grown(easel, rng)
    both_ways(easel, given_up, held)


@pytest.mark.usefixtures("processes")
def test_whatever_a_filesystem_allows(filesystem: Path) -> None:
    easel = Easel(filesystem)
    zoo.build(easel.source, as_root=os.geteuid() == 0)
    given_up = easel.place("1")
    held = easel.manifest
    (easel.source / "names" / "plain.txt").write_text("other")
    easel.place("2")
    os.remove(easel.source / "names" / "...")
    (easel.source / "empty" / "emptier" / "no more").write_text("x")
    base = easel.base
    assert base is not None
    before = oracle.facts(base.directory)
    both_ways_without_attributes(easel, given_up, held)
    assert oracle.facts(base.directory) == before


def both_ways_without_attributes(easel: Easel, given_up: Path, held: Manifest) -> None:
    reused = easel.versions / "reused"
    base, cache, sealed_ns = easel.base, easel.cache, easel.sealed_ns
    fresh = easel.place("fresh", now=NOW)
    from_nothing = easel.manifest
    easel.base, easel.cache = base, cache
    given_up.rename(reused)
    manifest, _ = stage.place(easel.plan(), reused, now=NOW, last_seal_ns=sealed_ns, held=held)
    assert manifest.dump() == from_nothing.dump()
    assert oracle.facts(reused) == oracle.facts(fresh)


def test_what_stays_is_not_touched(easel: Easel) -> None:
    easel.write({"same/a": "a", "same/b": "b", "other/c": "c", "top": "t"})
    given_up = easel.place("1")
    held = easel.manifest
    easel.write({"other/c": "d"}).place("2")
    same = (given_up / "same").stat()
    easel.write({"other/c": "e"})
    reused = easel.versions / "reused"
    given_up.rename(reused)
    stage.place(easel.plan(), reused, now=NOW, last_seal_ns=easel.sealed_ns, held=held)
    assert (reused / "same").stat() == same
    assert (reused / "other" / "c").read_text() == "e"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's versions keep no owners to compare")
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: (path / "new").touch(), id="a file put in"),
        pytest.param(lambda path: (path / "sub" / "new").mkdir(), id="a directory put in"),
        pytest.param(lambda path: (path / "a").unlink(), id="a file gone"),
        pytest.param(lambda path: (path / "a").write_text("longer than it was"), id="a file written to"),
        pytest.param(lambda path: (path / "a").chmod(0o600), id="a mode"),
        pytest.param(lambda path: os.utime(path / "a", (1, 1)), id="a time"),
        pytest.param(lambda path: (path / "sub").chmod(0o700), id="the mode of a directory"),
        pytest.param(lambda path: os.utime(path, (1, 1)), id="the time of a directory"),
        pytest.param(lambda path: shutil.rmtree(path / "sub"), id="a directory gone"),
        pytest.param(lambda path: (path / "a").rename(path / "z"), id="another name"),
        pytest.param(lambda path: shutil.rmtree(path), id="all gone"),
    ],
)
def test_what_is_not_as_sealed_is_known(easel: Easel, harm: Callable[[Path], None]) -> None:
    easel.write({"a": "one", "sub/b": "two"})
    version = easel.place("1")
    assert as_sealed(version, easel.manifest) == {version.stat().st_ino, (version / "sub").stat().st_ino}
    harm(version)
    assert as_sealed(version, easel.manifest) is None


def test_a_failure_leaves_nothing(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    from treeswap import durable
    from treeswap.errors import Failed

    easel.write({"a": "one", "sub/b": "two"})
    given_up = easel.place("1")
    held = easel.manifest
    easel.write({"a": "two"}).place("2")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "link", full)
    easel.write({"sub/b": "three"})
    with pytest.raises(Failed):
        stage.place(easel.plan(), given_up, now=NOW, last_seal_ns=easel.sealed_ns, held=held)
    assert not given_up.exists()
