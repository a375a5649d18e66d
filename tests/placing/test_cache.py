"""What was read once is not read again, and what was changed is noticed."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filesystems import Mounts
from treeswap import stage
from treeswap.cache import Cache
from treeswap.sources import Directory

from . import oracle
from .easel import Easel

FILES = {"a.txt": "one", "dir/b.txt": "two", "odd\nname\t\\": "x", "empty": ""}


@pytest.fixture(scope="module")
def pool(mounts: Mounts) -> list[Easel]:
    """Easels whose sources are old enough to be remembered, all of them written before one wait."""
    easels = [Easel(mounts.room()).write(FILES) for _ in range(8)]
    time.sleep(2.05)
    return easels


@pytest.fixture
def settled(pool: list[Easel]) -> Iterator[Easel]:
    """An easel with a version, of whose source everything is known."""
    easel = pool.pop()
    easel.place("1")
    yield easel
    stage.remove(easel.source.parent)


def forbid_reading(patch: pytest.MonkeyPatch) -> None:
    def pread(fd: int, length: int, offset: int) -> bytes:
        raise AssertionError("a file was read")

    patch.setattr(os, "pread", pread)


def test_known_files_are_not_read(settled: Easel, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled.cache is not None
    settled.cache.save(room / "cache")
    assert stat.S_IMODE((room / "cache").stat().st_mode) == 0o600
    settled.cache = Cache.load(room / "cache")
    forbid_reading(monkeypatch)
    assert settled.plan().unchanged
    os.utime(settled.source / "dir", ns=(1, 1))
    assert settled.plan().unchanged


def test_what_was_compared_is_known_from_then_on(settled: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    settled.cache = None
    settled.cache = settled.plan().cache
    forbid_reading(monkeypatch)
    assert settled.plan().unchanged


def test_a_same_size_edit_with_the_old_time_put_back_is_noticed(settled: Easel) -> None:
    path = settled.source / "a.txt"
    before = path.stat()
    path.write_text("eno")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_size == before.st_size
    assert not settled.plan().unchanged
    assert (settled.place("2") / "a.txt").read_text() == "eno"


def test_a_mode_is_noticed_although_the_file_is_known(easel: Easel) -> None:
    """As after a rollback: the source was read since the version that it is compared with was made."""
    easel.write(FILES).place("1")
    before = easel.base
    (easel.source / "a.txt").chmod(0o600)
    time.sleep(2.05)
    easel.place("2")
    assert easel.cache is not None and b"a.txt" in easel.cache.known
    easel.base = before
    assert easel.plan().copied == [b"a.txt"]


def test_a_file_put_in_the_place_of_another_is_noticed(settled: Easel) -> None:
    path, other = settled.source / "a.txt", settled.source / "other"
    before = path.stat()
    other.write_text("eno")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    assert (settled.place("2") / "a.txt").read_text() == "eno"


def test_files_that_changed_just_now_are_not_remembered(easel: Easel) -> None:
    easel.write({"fresh": "x"})
    easel.place("1")
    assert easel.cache is not None and easel.cache.known == {}


def test_a_file_with_a_time_in_the_future_is_not_remembered(easel: Easel) -> None:
    easel.write({"file": "x"})
    path = easel.source / "file"
    cache = Cache()
    cache.learn(b"file", path.stat(), path.stat().st_ctime_ns - 10**12, b"a" * 64, "")
    cache.learn(b"file", path.stat(), path.stat().st_ctime_ns + 10**9, b"a" * 64, "")
    assert cache.known == {}
    cache.learn(b"file", path.stat(), path.stat().st_ctime_ns + 2 * 10**9, b"a" * 64, "")
    assert list(cache.known) == [b"file"]


def test_what_is_gone_is_forgotten(settled: Easel) -> None:
    (settled.source / "a.txt").unlink()
    assert b"a.txt" not in settled.plan().cache.known
    assert b"dir/b.txt" in settled.plan().cache.known


def test_another_source_with_the_same_names_is_read(settled: Easel, room: Path) -> None:
    other = Easel(room_below(room, "other")).write({**FILES, "a.txt": "eno"})
    work = settled.plan(Directory(other.source))
    assert not work.unchanged and work.copied == [b"a.txt"]


def room_below(room: Path, name: str) -> Path:
    (room / name).mkdir()
    return room / name


def test_a_cache_that_did_not_change_is_not_written(settled: Easel, room: Path) -> None:
    assert settled.cache is not None
    settled.cache.save(room / "cache")
    before = oracle.inodes(room)[b"cache"]
    settled.cache = Cache.load(room / "cache")
    settled.plan().cache.save(room / "cache")
    assert oracle.inodes(room)[b"cache"] == before
    (settled.source / "a.txt").unlink()
    settled.plan().cache.save(room / "cache")
    assert oracle.inodes(room)[b"cache"] != before


def test_a_missing_or_foreign_cache_is_an_empty_one(room: Path) -> None:
    assert Cache.load(room / "nothing").known == {}
    assert Cache.load(room).known == {}
    (room / "foreign").write_bytes(b"treeswap cache 2\nwhatever\n")
    assert Cache.load(room / "foreign").known == {}


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_cache_is_an_empty_one(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "cache"
    cache = Cache()
    for name in (b"a", b"new\nline", b"\xff"):
        cache.learn(name, os.stat("/"), 2**63, b"a" * 64, "")
    cache.save(path)
    assert Cache.load(path).known == cache.known
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    assert Cache.load(path).known == {}


@pytest.mark.parametrize(
    "line", [b"1\tab\t\tf", b"1\t" + b"a" * 64 + b"\t\ta\\x", b"1\t" + b"a" * 64 + b"\t\xff\tf", b""]
)
def test_a_cache_of_nonsense_is_an_empty_one(tmp_path: Path, line: bytes) -> None:
    """Also where its checksum fits."""
    body = b"treeswap cache 1\n" + line + b"\n"
    (tmp_path / "cache").write_bytes(body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n")
    assert Cache.load(tmp_path / "cache").known == {}
