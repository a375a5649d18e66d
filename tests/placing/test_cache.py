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
from treeswap.cache import Cache, Learned
from treeswap.sources import Directory

from .easel import Easel, copied

FILES = {"a.txt": "one", "dir/b.txt": "two", "odd\nname\t\\": "x", "empty": ""}


@pytest.fixture(scope="module")
def pool(mounts: Mounts) -> list[Easel]:
    """Easels whose sources are old enough to be remembered, all of them written before one wait."""
    easels = [Easel(mounts.room()).write(FILES) for _ in range(10)]
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
    settled.cache.key = b"key"
    settled.cache.save(room / "cache")
    assert stat.S_IMODE((room / "cache").stat().st_mode) == 0o600
    settled.cache = Cache.load(room / "cache", b"key")
    forbid_reading(monkeypatch)
    assert settled.plan().unchanged
    os.utime(settled.source / "dir", ns=(1, 1))
    assert settled.plan().unchanged


def test_what_was_compared_is_known_from_then_on(settled: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    settled.cache = Cache()
    settled.cache = settled.plan().cache(settled.manifest)
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
    assert b"a.txt" in easel.cache.directories[b""].files()
    easel.base = before
    assert copied(easel.plan()) == [b"a.txt"]


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
    known = easel.cache.directories[b""]
    assert (known.files(), known.signature) == ({}, b"")


def test_a_file_with_a_time_in_the_future_is_not_remembered(easel: Easel) -> None:
    easel.write({"file": "x"})
    path = easel.source / "file"
    learned = Learned(b"", "")
    learned.learn(b"file", path.stat(), path.stat().st_ctime_ns - 10**12, b"a" * 64, "")
    learned.learn(b"file", path.stat(), path.stat().st_ctime_ns + 10**9, b"a" * 64, "")
    assert learned.known(b"").files() == {}
    learned.learn(b"file", path.stat(), path.stat().st_ctime_ns + 2 * 10**9, b"a" * 64, "")
    assert list(learned.known(b"").files()) == [b"file"]


def test_what_is_gone_is_forgotten(settled: Easel) -> None:
    (settled.source / "a.txt").unlink()
    settled.place("2")
    assert b"a.txt" not in settled.cache.directories[b""].files()
    assert b"b.txt" in settled.cache.directories[b"dir"].files()


def test_another_source_with_the_same_names_is_read(settled: Easel, room: Path) -> None:
    other = Easel(room_below(room, "other")).write({**FILES, "a.txt": "eno"})
    work = settled.plan(Directory(other.source))
    assert not work.unchanged and copied(work) == [b"a.txt"]


def room_below(room: Path, name: str) -> Path:
    (room / name).mkdir()
    return room / name


def test_a_cache_that_did_not_change_is_the_same_one(settled: Easel) -> None:
    assert settled.plan().cache(settled.manifest) is settled.cache
    (settled.source / "a.txt").unlink()
    settled.place("2")
    before = settled.cache
    time.sleep(2.05)
    settled.place("3")
    assert settled.cache is not before, "the directory changed too shortly before it was looked at"
    assert settled.plan().cache(settled.manifest) is settled.cache


def test_a_directory_whose_version_went_back_is_looked_into(settled: Easel) -> None:
    """As after a rollback: the directory is as the cache knows it, and another version is compared with it."""
    before = settled.base
    (settled.source / "dir" / "b.txt").write_text("owt")
    time.sleep(2.05)
    settled.place("2")
    settled.base = before
    assert copied(settled.plan()) == [b"dir/b.txt"]


def test_a_missing_or_foreign_cache_is_an_empty_one(room: Path) -> None:
    assert Cache.load(room / "nothing", b"key").directories == {}
    assert Cache.load(room, b"key").directories == {}
    (room / "foreign").write_bytes(b"treeswap cache 2\nwhatever\n")
    assert Cache.load(room / "foreign", b"key").directories == {}


def test_a_cache_made_under_other_settings_is_an_empty_one(settled: Easel, room: Path) -> None:
    settled.cache.save(room / "cache")
    assert Cache.load(room / "cache", b"").directories == settled.cache.directories
    assert Cache.load(room / "cache", b"other").directories == {}


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_cache_is_an_empty_one(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "cache"
    learned = Learned(b"b" * 64, "")
    for name in (b"a", b"new\nline", b"\xff"):
        learned.learn(name, os.stat("/"), 2**63, b"a" * 64, "")
    cache = Cache(b"key", {b"": learned.known(b"c" * 64), b"sub\tdir": learned.known(b"d" * 64)})
    cache.save(path)
    assert Cache.load(path, b"key").directories == cache.directories
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    assert Cache.load(path, b"key").directories == {}


@pytest.mark.parametrize(
    "line", [b"1\tab\t\tf", b"1\t" + b"a" * 64 + b"\t\ta\\x", b"1\t" + b"a" * 64 + b"\t\xff\tf", b"no fields"]
)
def test_nonsense_about_files_is_nothing_known(tmp_path: Path, line: bytes) -> None:
    """Also where its checksum fits."""
    good = b"d\t\t" + b"a" * 64 + b"\t\t"
    for lines, known in (([good, line], {}), ([b"d\tx", line], None), ([good[:-1] + b"zz\t"], None)):
        body = b"\n".join([b"treeswap cache 1", b"key", *lines]) + b"\n"
        (tmp_path / "cache").write_bytes(body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n")
        found = Cache.load(tmp_path / "cache", b"key").directories
        assert (found[b""].files() if found else None) == known
