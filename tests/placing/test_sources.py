"""Sources that move while they are read, and those that are refused."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from treeswap import durable, scan
from treeswap.cache import Cache
from treeswap.errors import SourceRefused
from treeswap.sources import Directory

from . import oracle
from .easel import Easel
from .nobody import as_nobody
from .reads import Reads

FILES = {"a.txt": "one", "dir/b.txt": "two"}


@contextmanager
def ever_again(act: Callable[[], None]) -> Iterator[None]:
    """Does something over and over in another thread."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_file_that_changes_while_it_is_read_is_read_again(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    path = easel.source / "big"
    path.write_bytes(b"a" * 1_000_000)

    def change(count: int) -> None:
        if count == 4:  # all of the old content was copied, and the new one is shorter
            path.write_bytes(b"b" * 1000)

    Reads(monkeypatch, change)
    version = easel.place("1")
    assert (version / "big").read_bytes() == b"b" * 1000
    assert easel.manifest.entries[b"big"].content == oracle.facts(version)[b"big"].digest


def test_a_file_that_changes_while_it_is_compared_is_read_again(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    path = easel.source / "big"
    path.write_bytes(b"a" * 1_000_000)
    easel.place("1")
    easel.cache = Cache()

    def change(count: int) -> None:
        if count == 2:
            path.write_bytes(b"a" * 999_999 + b"b")

    Reads(monkeypatch, change)
    assert not easel.plan().unchanged
    assert (easel.place("2") / "big").read_bytes() == b"a" * 999_999 + b"b"


def test_a_file_that_never_holds_still_is_named(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    easel.write(FILES)
    path = easel.source / "dir" / "b.txt"
    work = easel.plan()
    Reads(monkeypatch, lambda count: os.truncate(path, count))
    with pytest.raises(SourceRefused, match=r"dir/b\.txt in .*does not hold still"):
        easel.place("1", work)
    assert list(easel.versions.iterdir()) == []


def test_a_file_that_grows_as_fast_as_it_is_read_is_named(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    path = easel.source / "log"
    path.write_bytes(b"x" * 300_000)
    work = easel.plan()
    reads = Reads(monkeypatch, lambda count: os.truncate(path, 300_000 + 10 * count))
    with pytest.raises(SourceRefused, match=r"log in .*does not hold still"):
        easel.place("1", work)
    assert reads.count < 100


def test_an_edit_that_puts_size_and_time_back_while_it_is_read_is_noticed(
    easel: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = easel.source / "big"
    path.write_bytes(b"a" * 1_000_000)
    before = path.stat()

    def change(count: int) -> None:
        if count == 2:
            path.write_bytes(b"b" * 1_000_000)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    Reads(monkeypatch, change)
    assert (easel.place("1") / "big").read_bytes() == b"b" * 1_000_000


def test_short_reads_are_no_end_of_a_file(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network filesystem may give less than it was asked for."""
    easel.write({"file": os.urandom(10_000), "big": os.urandom(300_000)})
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: read(fd, min(length, 3000), offset))
    assert oracle.facts(easel.place("1")) == oracle.facts(easel.source)


@pytest.mark.parametrize(("after_ms", "believed"), [(0, False), (9, False), (10, True), (-1, True)])
def test_a_file_changed_within_a_tick_of_the_clock_is_not_believed(
    easel: Easel, monkeypatch: pytest.MonkeyPatch, after_ms: int, believed: bool
) -> None:
    """What changes it next could bear the same time. One with a time in the future is not waited for."""
    easel.write(FILES)
    path = easel.source / "a.txt"
    work = easel.plan()
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + after_ms * 1_000_000)
    (easel.source / "dir" / "b.txt").unlink()
    (easel.source / "dir" / "b.txt").hardlink_to(path)
    if believed:
        easel.place("1", work)
    else:
        with pytest.raises(SourceRefused, match="does not hold still"):
            easel.place("1", work)


def test_a_source_whose_directories_move_while_it_is_read_is_refused(easel: Easel, room: Path) -> None:
    """Far down, the way back up leads elsewhere."""
    deepest = easel.source
    for _ in range(80):
        deepest /= "d"
    deepest.mkdir(parents=True)
    (room / "elsewhere").mkdir()

    def move(path: str, is_directory: bool) -> bool:
        if path.count("/") == 70:
            (easel.source / "d/d/d").rename(room / "elsewhere" / "d")
        return False

    with pytest.raises(SourceRefused, match="changed while it was read"):
        easel.plan(Directory(easel.source, move))


def test_under_a_real_writer_a_copy_is_whole_or_refused(easel: Easel) -> None:
    path = easel.source / "big"
    path.write_bytes(bytes(4_000_000))
    letters = iter(range(1, 10**9))
    fd = os.open(path, os.O_WRONLY)

    def write() -> None:
        data = bytes([next(letters) % 256]) * 4_000_000
        os.pwrite(fd, data, 0)
        threading.Event().wait(0.1)

    whole = refused = 0
    with ever_again(write):
        for i in range(200):
            if i >= 8 and whole:
                break
            try:
                version = easel.place(str(i))
            except SourceRefused:
                refused += 1
            else:
                assert len(set((version / "big").read_bytes())) == 1
                whole += 1
    os.close(fd)
    assert whole, f"{refused} refused"


def test_a_directory_replaced_by_a_symlink_leads_nowhere(easel: Easel, room: Path) -> None:
    easel.write(FILES)
    (room / "secret").mkdir()
    (room / "secret" / "b.txt").write_text("secret")
    work = easel.plan()
    (easel.source / "dir").rename(easel.source / "was")
    (easel.source / "dir").symlink_to(room / "secret")
    with pytest.raises(SourceRefused, match=r"dir in .* cannot be copied"):
        easel.place("1", work)
    assert list(easel.versions.iterdir()) == []


def test_a_file_replaced_by_a_symlink_or_a_fifo_leads_nowhere(easel: Easel, room: Path) -> None:
    easel.write(FILES)
    (room / "secret").write_text("secret")
    work = easel.plan()
    path = easel.source / "a.txt"
    for kind in ("symlink", "fifo"):
        path.unlink()
        path.symlink_to(room / "secret") if kind == "symlink" else os.mkfifo(path)
        with pytest.raises(SourceRefused, match=r"a\.txt in .* no longer a file"):
            easel.place("1", work)
        assert list(easel.versions.iterdir()) == []


def test_a_symlink_that_comes_and_goes_never_leads_elsewhere(easel: Easel, room: Path) -> None:
    """A directory and a symlink change places all the time while versions are made."""
    easel.write(FILES)
    (room / "secret").mkdir()
    (room / "secret" / "b.txt").write_text("secret")
    (room / "link").symlink_to(room / "secret")
    made = 0
    with ever_again(lambda: durable.exchange(easel.source / "dir", room / "link")):
        for i in range(150):
            easel.base, easel.cache = None, Cache()
            try:
                version = easel.place(str(i))
            except SourceRefused:
                continue
            if not (version / "dir").is_symlink():
                assert (version / "dir" / "b.txt").read_text() == "two"
            made += 1
    assert made


def test_all_that_cannot_be_released_is_named(easel: Easel) -> None:
    for i in range(7):
        os.mkfifo(easel.source / f"fifo{i:02}")
    (easel.source / "dir").mkdir()
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(6)]
    for i, each in enumerate(sockets):
        each.bind(str(easel.source / "dir" / f"socket{i}"))
        each.close()
    with pytest.raises(SourceRefused) as refusal:
        easel.plan()
    message = refusal.value.message
    assert "13 paths" in message and "3 more" in message
    assert "dir/socket0" in message and "fifo03" in message and "fifo05" not in message
    assert refusal.value.hint and "--exclude" in refusal.value.hint


def test_all_that_cannot_be_read_is_named(easel: Easel) -> None:
    easel.write({f"file{i:02}": "x" for i in range(11)} | {"closed/in": "x", "fine": "x"})
    os.mkfifo(easel.source / "fifo")

    def run() -> None:
        for i in range(11):
            (easel.source / f"file{i:02}").chmod(0)
        (easel.source / "closed").chmod(0o300)
        with pytest.raises(SourceRefused) as refusal:
            easel.plan()
        (easel.source / "closed").chmod(0o700)
        message = refusal.value.message
        assert "12 paths" in message and "2 more" in message and "one path" in message
        assert "closed: Permission denied" in message and "file08: Permission denied" in message
        assert "file09" not in message and "fine" not in message and "fifo" in message

    as_nobody(run, easel.source.parent)


@pytest.mark.parametrize(
    ("path", "message"), [("nowhere", "does not exist"), ("file", "not a directory"), ("file/in", "not a directory")]
)
def test_a_source_that_is_none_is_refused(easel: Easel, room: Path, path: str, message: str) -> None:
    (room / "file").write_text("x")
    with pytest.raises(SourceRefused, match=f"the source .*{path} (is )?{message}"):
        easel.plan(Directory(room / path))


def test_a_source_that_cannot_be_entered_is_refused(easel: Easel) -> None:
    def run() -> None:
        easel.source.chmod(0)
        with pytest.raises(SourceRefused, match="cannot be read"):
            easel.plan()
        easel.source.chmod(0o700)

    as_nobody(run, easel.source.parent)


def test_a_source_behind_a_symlink_is_read(easel: Easel, room: Path) -> None:
    easel.write(FILES)
    (room / "link").symlink_to(easel.source)
    version = easel.place("1", easel.plan(Directory(room / "link")))
    assert oracle.facts(version) == oracle.facts(easel.source)


def test_what_is_excluded_is_not_even_looked_at(easel: Easel) -> None:
    easel.write({**FILES, ".git/config": "x", "dir/x.pyc": "x"})
    os.mkfifo(easel.source / "fifo")
    asked = []

    def excluded(path: str, is_directory: bool) -> bool:
        asked.append((path, is_directory))
        return path.startswith((".git", "fifo")) or path.endswith(".pyc")

    version = easel.place("1", easel.plan(Directory(easel.source, excluded)))
    assert sorted(oracle.facts(version)) == [b"", b"a.txt", b"dir", b"dir/b.txt"]
    assert sorted(asked) == [
        (".git", True),
        (".git", True),  # once more where nothing is known of the source yet, to divide it
        ("a.txt", False),
        ("dir", True),
        ("dir", True),
        ("dir/b.txt", False),
        ("dir/x.pyc", False),
        ("fifo", False),
    ]


def test_a_destination_that_is_there_is_left_alone(easel: Easel) -> None:
    easel.write(FILES)
    first = easel.place("1")
    before = oracle.facts(first)
    with pytest.raises(Exception, match="cannot be made at"):
        easel.place("1")
    assert oracle.facts(first) == before


def test_what_breaks_a_placing_leaves_nothing(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may arrive at any moment; here it does at each read in turn."""
    easel.write({f"dir{i}/file": f"content {i}" for i in range(4)})
    (easel.source / "dir3").chmod(0o555)
    for stop in range(1, 5):
        with monkeypatch.context() as patch:

            def interrupt(count: int, stop: int = stop) -> None:
                if count == stop:
                    raise KeyboardInterrupt

            Reads(patch, interrupt)
            with pytest.raises(KeyboardInterrupt):
                easel.place("1")
        assert list(easel.versions.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) < 40, "descriptors are closed on the way out"


def test_links_to_shared_paths_take_the_place_of_what_is_there(easel: Easel) -> None:
    easel.with_tree(shared=("uploads/", ".env", "deep/er/cache/", "dir/media/"))
    easel.write({"uploads/secret": "x", "dir/b.txt": "two", "dir/media": "a file"})
    (easel.source / "dir").chmod(0o750)
    version = easel.place("1")
    links = {path: fact.target for path, fact in oracle.facts(version).items() if fact.kind == "l"}
    root = os.fsencode(easel.shared_root)
    assert links == {
        b"uploads": root + b"/uploads",
        b".env": root + b"/.env",
        b"deep/er/cache": root + b"/deep/er/cache",
        b"dir/media": root + b"/dir/media",
    }
    modes = {path: fact.mode for path, fact in oracle.facts(version).items() if fact.kind == "d"}
    assert modes == {b"": "755", b"dir": "750", b"deep": "755", b"deep/er": "755"}
    origins = {path: entry.origin for path, entry in easel.manifest.entries.items()}
    assert {path for path, origin in origins.items() if origin == "shared"} == {*links, b"deep", b"deep/er"}
    assert scan.survey(version).digest == easel.manifest.digest
    assert easel.plan().unchanged
    easel.write({"new": "x"})
    second = easel.place("2")
    before, after = oracle.facts(version), oracle.facts(second)
    assert {path: after[path] for path in before} == before


def test_a_shared_path_below_a_file_is_refused(easel: Easel) -> None:
    easel.with_tree(shared=("a.txt/uploads/",)).write(FILES)
    with pytest.raises(SourceRefused, match=r"a\.txt/uploads cannot be made: a\.txt is no directory"):
        easel.plan()


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to give")
def test_a_link_to_a_shared_path_belongs_to_whom_its_place_does(easel: Easel) -> None:
    """Some web servers follow a symlink only if it belongs to whom its target does."""
    easel.with_tree(shared=("uploads/", "dir/cache/")).write({"uploads/x": "", "dir/x": ""})
    os.chown(easel.source / "uploads", 33, 33)
    os.chown(easel.source / "dir", 44, 44)
    facts = oracle.facts(easel.place("1"))
    assert (facts[b"uploads"].owner, facts[b"dir/cache"].owner) == ("33:33", "44:44")


@pytest.mark.parametrize("files", [{"sub/x": "x"}, {"a": "a", "sub/x": "x"}])
@pytest.mark.parametrize("shared", ["cache/", "sub/cache/", "deep/cache/"])
def test_a_path_that_is_shared_from_now_on_is_a_link_where_nothing_else_changed(
    easel: Easel, files: dict[str, str], shared: str
) -> None:
    easel.write(files).place("1")
    easel.cache = Cache()  # it was made under other settings
    easel.with_tree(shared=(shared,))
    work = easel.plan()
    assert not work.unchanged
    version = easel.place("2", work)
    assert (version / shared.rstrip("/")).is_symlink()
    easel.cache = Cache()
    assert easel.plan().unchanged
