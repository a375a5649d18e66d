"""Live directories become public paths, with no moment at which they are missing."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import Bench, as_nobody, snapshot, wait_for
from treeswap import durable
from treeswap.durable import system
from treeswap.errors import ConsentNeeded, Damaged, DestinationRefused
from treeswap.journal import Journal
from treeswap.records import Records
from treeswap.release import ReleaseId

_READER = """
import os, sys
paths, counts = sys.argv[2:], sys.argv[1]
looked = failed = 0
told = False
while not os.path.exists(counts + ".stop"):
    for path in paths:
        looked += 1
        try:
            with open(path, "rb") as file:
                if file.read(1) != b"v":
                    failed += 1
        except OSError:
            failed += 1
    if not told and looked > 1000:
        told = True
        open(counts + ".ready", "w").close()
with open(counts, "w") as file:
    print(looked, failed, file=file)
"""


@contextmanager
def readers(bench: Bench, *paths: Path) -> Iterator[list[tuple[int, int]]]:
    """Processes that open these paths as fast as they can; their lookups and failures, when the block has ended."""
    counts = [bench.root / f"reader{number}" for number in range(2)]
    told: list[tuple[int, int]] = []
    started = [subprocess.Popen([sys.executable, "-c", _READER, str(c), *map(str, paths)]) for c in counts]
    try:
        wait_for(lambda: all(Path(f"{c}.ready").exists() for c in counts), "readers at work")
        yield told
    finally:
        for count, process in zip(counts, started, strict=True):
            Path(f"{count}.stop").touch()
            process.wait(timeout=20)
            looked, failed = map(int, count.read_text().split())
            told.append((looked, failed))


def live(bench: Bench, text: str = "v0") -> Bench:
    for name in ("apps", "conf", "media"):
        bench.live(name, {"f": text, "sub/g": text, "sub/constant": "c", "other": "o"})
    return bench


def test_readers_see_no_failure_while_three_directories_are_adopted(bench: Bench) -> None:
    live(bench).version("v1")
    with readers(bench, *(bench.world / name / "sub/g" for name in bench.paths)) as told:
        bench.deploy(adopt=True)
        for text in ("v2", "v3"):
            bench.version(text).deploy()
        bench.rollback().rollback().rollback()
    assert all(looked > 1000 for looked, _ in told)
    assert [failed for _, failed in told] == [0, 0]
    bench.shows("v0").rests()


def test_the_old_directory_is_the_version(bench: Bench) -> None:
    live(bench).version("v1")
    before = {name: snapshot(bench.world / name) for name in bench.paths}
    bench.deploy(adopt=True).shows("v1")
    adopted = bench.ids[0]
    for name in bench.paths:
        slot = bench.site_root / "trees" / name / adopted
        # The exchange gives the moved directory's ".." another entry; everything in it is as it was, inodes and all.
        assert snapshot(slot).replace(str(slot), str(bench.world / name)) == before[name]
    assert bench.states()[adopted] == "previous"
    bench.rollback().shows("v0").rests()


def test_an_open_file_keeps_its_writer(bench: Bench) -> None:
    live(bench)
    bench.version("v1")
    with (bench.world / "apps/log").open("w") as writer:
        writer.write("before, ")
        writer.flush()
        bench.deploy(adopt=True)
        writer.write("after")
    assert (bench.slot("apps", bench.ids[0]) / "log").read_text() == "before, after"
    bench.rollback()
    assert (bench.world / "apps/log").read_text() == "before, after"


def test_without_consent_nothing_is_touched(bench: Bench) -> None:
    live(bench).version("v1")
    before = snapshot(bench.root)
    with pytest.raises(ConsentNeeded) as needed:
        bench.site.deploy(bench.request())
    assert needed.value.flags == ("--adopt",)
    assert all(str(bench.world / name) in needed.value.message for name in bench.paths)
    assert snapshot(bench.root) == before


def test_what_only_the_live_directory_has_is_shown_with_how_to_keep_it(bench: Bench) -> None:
    live(bench).live("apps", {"uploads/a.jpg": "v", "uploads/b.jpg": "v", ".env": "secret"}).version("v1")
    bench.deploy(exits=2).says("apps", "\n  .env", "\n  uploads/", "--shared apps/.env")
    bench.deploy(exits=2, shared=["apps/uploads/", "apps/.env"])
    assert bench.error is not None and "only the live" not in bench.error.message


def test_more_than_ten_names_are_counted(bench: Bench) -> None:
    live(bench).live("apps", {f"extra{number:02}": "x" for number in range(13)}).version("v1")
    bench.deploy(exits=2).says("extra09", "and 3 more")
    assert bench.error is not None and "extra10" not in bench.error.message


def test_shared_paths_move_out_and_are_the_same_inodes(bench: Bench) -> None:
    live(bench).live("apps", {"uploads/a.jpg": "photo", ".env": "secret"}).version("v1")
    uploads, env = (bench.world / "apps/uploads").stat().st_ino, (bench.world / "apps/.env").stat().st_ino
    bench.deploy(adopt=True, shared=["apps/uploads", "apps/.env"])
    shared = bench.site_root / "shared/apps"
    assert (shared / "uploads").stat().st_ino == uploads and (shared / ".env").stat().st_ino == env
    for id in bench.ids:
        for name in ("uploads", ".env"):
            assert os.readlink(bench.slot("apps", id) / name) == str(shared / name)
    (bench.world / "apps/uploads/new.jpg").write_text("later")
    bench.rollback()
    assert (bench.world / "apps/uploads/new.jpg").read_text() == "later"
    assert (bench.world / "apps/.env").read_text() == "secret"
    bench.rests()


def test_readers_see_no_failure_while_shared_paths_move_out(bench: Bench) -> None:
    live(bench).live("apps", {"uploads/a.jpg": "v", ".env": "v"}).version("v1")
    with readers(bench, bench.world / "apps/uploads/a.jpg", bench.world / "apps/.env") as told:
        bench.deploy(adopt=True, shared=["apps/uploads/", "apps/.env"])
    assert [failed for _, failed in told] == [0, 0] and all(looked > 1000 for looked, _ in told)


def test_a_shared_path_that_both_have_is_refused(bench: Bench) -> None:
    live(bench).version("v1")
    (bench.site_root / "shared/apps").mkdir(parents=True)
    (bench.site_root / "shared/apps/other").write_text("there already")
    before = snapshot(bench.root, but=("", "site/*", "site"))
    bench.deploy(adopt=True, shared=["apps/other"], exits=12).says("only one can be")
    assert snapshot(bench.root, but=("", "site/*", "site")) == before
    assert (bench.site_root / "shared/apps/other").read_text() == "there already"


def _database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("create table t (x)")
    connection.commit()
    return connection


def test_a_shared_sqlite_file_that_is_open_is_refused(bench: Bench) -> None:
    live(bench).version("v1")
    connection = _database(bench.world / "apps/db.sqlite3")
    before = snapshot(bench.root)
    bench.deploy(adopt=True, shared=["apps/db.sqlite3"], exits=12)
    bench.says("apps/db.sqlite3", f"process {os.getpid()}", "has it open", "directory")
    assert snapshot(bench.root) == before
    connection.close()
    bench.deploy(adopt=True, shared=["apps/db.sqlite3"])


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_shared_sqlite_file_with_a_companion_is_refused(bench: Bench, suffix: str) -> None:
    live(bench).version("v1")
    _database(bench.world / "apps/db.sqlite3").close()
    (bench.world / f"apps/db.sqlite3{suffix}").touch()
    before = snapshot(bench.root)
    bench.deploy(adopt=True, shared=["apps/db.sqlite3"], exits=12).says(f"db.sqlite3{suffix} stands beside it")
    assert snapshot(bench.root) == before


def test_the_directory_of_an_open_database_may_be_shared(bench: Bench) -> None:
    live(bench).version("v1")
    (bench.world / "apps/data").mkdir()
    connection = _database(bench.world / "apps/data/db.sqlite3")
    connection.execute("pragma journal_mode=wal")
    bench.deploy(adopt=True, shared=["apps/data/"])
    connection.execute("insert into t values (1)")
    connection.commit()
    connection.close()
    seen = sqlite3.connect(bench.world / "apps/data/db.sqlite3")
    assert seen.execute("select x from t").fetchall() == [(1,)]
    seen.close()


def test_adopting_without_deploying(bench: Bench) -> None:
    live(bench).adopt("apps", "conf", "media").shows("v0")
    assert [bench.states()[id] for id in bench.ids] == ["current"]
    assert bench.site.releases()[0].record.kind == "adopted"
    bench.rests().rollback(exits=15)
    bench.version("v1").deploy().shows("v1").rollback().shows("v0")


def test_the_first_deploy_after_adoption_makes_its_own_version(bench: Bench) -> None:
    """Even of equal content: an adopted directory may be written to by who knows whom."""
    live(bench).adopt("apps", "conf", "media").version("v0").deploy().shows("v0")
    assert bench.outcome is not None and set(bench.outcome.trees.values()) == {"new"}
    adopted, made = bench.ids
    theirs = {path.stat().st_ino for path in bench.slot("apps", adopted).rglob("*") if path.is_file()}
    ours = {path.stat().st_ino for path in bench.slot("apps", made).rglob("*") if path.is_file()}
    assert theirs and not theirs & ours
    bench.deploy()
    assert bench.outcome is not None and not bench.outcome.changed


def test_an_adopted_tree_that_is_not_named_stays_as_it_is(bench: Bench) -> None:
    live(bench).adopt("apps", "conf", "media")
    inode = (bench.world / "media").stat().st_ino
    bench.version("v1").deploy("apps", "conf")
    assert (bench.world / "media").stat().st_ino == inode and (bench.world / "media/f").read_text() == "v0"


def test_an_adopted_release_goes_only_when_named(bench: Bench) -> None:
    live(bench).version("v1").deploy(adopt=True, keep=1, grace=0.0)
    adopted = bench.ids[0]
    for text in ("v2", "v3"):
        bench.version(text).deploy()
    assert adopted in bench.ids
    bench.prune(adopted)
    assert adopted not in bench.ids and adopted not in bench.versions("apps")
    bench.shows("v3").rests()


def test_odd_things_in_a_live_directory_do_not_stop_it(bench: Bench) -> None:
    live(bench).version("v1")
    os.mkfifo(bench.world / "apps/fifo")
    (bench.world / "apps/closed").write_text("closed")
    (bench.world / "apps/closed").chmod(0)
    bench.deploy(adopt=True).shows("v1").rests()
    slot = bench.slot("apps", bench.ids[0])
    (slot / "closed").chmod(0o600)
    assert stat.S_ISFIFO((slot / "fifo").lstat().st_mode)


def test_a_writer_during_adoption_is_named_and_does_not_stop_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    live(bench).version("v1")
    exchange = durable.exchange

    def slow(one: Path, other: Path) -> None:
        (bench.world / "apps/late").touch()
        exchange(one, other)

    monkeypatch.setattr(durable, "exchange", slow)
    monkeypatch.setattr(durable, "can_exchange", lambda room: True)
    bench.deploy(adopt=True).shows("v1").notes("apps/late appeared")
    assert (bench.slot("apps", bench.ids[0]) / "late").exists()


def test_staging_beside_live_directories_adopts_at_the_switch(bench: Bench) -> None:
    live(bench).version("v1").stage(adopt=True)
    assert bench.outcome is not None and bench.outcome.release
    staged = bench.outcome.release
    assert not os.path.lexists(bench.site_root / "current")
    assert not any((bench.world / name).is_symlink() for name in bench.paths)
    bench.shows("v0")
    bench.switch(staged, exits=2)
    assert isinstance(bench.error, ConsentNeeded)
    bench.switch(staged, adopt=True).shows("v1")
    assert [row.record.kind for row in bench.site.releases()] == ["deployed", "adopted"]
    assert bench.ids[0] < staged, "the adopted release counts as the earlier one"
    bench.rollback().shows("v0").rests()


def test_a_record_that_cannot_be_read_leaves_no_tree_out_of_the_switch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(bench).version("v1").stage(adopt=True)
    staged, read = bench.ids[-1], Records.readable
    answers = iter([read])

    def once(self: Records) -> Any:
        """The disk fails after the first time."""
        for answer in answers:
            return answer(self)
        return {}, {ReleaseId(staged): Damaged("the record cannot be read")}

    monkeypatch.setattr(Records, "readable", once)
    bench.switch(staged, adopt=True)
    monkeypatch.undo()
    bench.shows("v1").rests()


def _resisting(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """This directory cannot be exchanged, as if something were mounted on it."""
    exchange = durable.exchange

    def refuse(one: Path, other: Path) -> None:
        if one == path:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(one))
        exchange(one, other)

    monkeypatch.setattr(durable, "exchange", refuse)


def test_a_directory_that_resisted_once_is_adopted_by_the_next_switch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(bench).version("v1").stage(adopt=True)
    staged = bench.ids[-1]
    _resisting(monkeypatch, bench.world / "media")
    bench.switch(staged, adopt=True, exits=12).says("not every directory", str(bench.world / "media"))
    bench.shows("v0")
    monkeypatch.undo()
    bench.switch(staged, adopt=True).shows("v1").recover().rests()


def test_a_directory_that_resisted_is_left_alone_by_whoever_recovers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record names it any more: moved into the site now, it would be swept as a leftover."""
    live(bench).version("v1")
    media = bench.world / "media"
    inode = media.stat().st_ino

    def fail(self: Journal, intent: int, *, done: bool) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    _resisting(monkeypatch, media)
    monkeypatch.setattr(Journal, "outcome", fail)
    bench.deploy(adopt=True, exits=12)
    monkeypatch.undo()
    bench.recover().shows("v0").rests()
    assert media.stat().st_ino == inode and not media.is_symlink()
    assert (bench.world / "apps").is_symlink()
    bench.deploy(adopt=True).shows("v1").rests()


def test_the_mark_of_an_adoption_that_ended_is_cleared_and_told(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.site_root / ".treeswap/moving").touch()
    assert bench.site.status().state == "interrupted"
    bench.recover().notes("moving", "interrupted adoption").rests()


def _without_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS: renameat2 takes no flags, neither for an exchange nor to spare what is there."""

    def refuse(one: Path, other: Path, flags: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(one))

    monkeypatch.setattr(system, "renameat2", refuse)


def test_a_filesystem_without_exchange_refuses_and_names_the_ways_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(bench).version("v1")

    _without_flags(monkeypatch)
    before = snapshot(bench.root, but=("",))
    bench.deploy(adopt=True, exits=12).says("cannot exchange", "--allow-gap", "current/NAME")
    assert isinstance(bench.error, DestinationRefused)
    assert snapshot(bench.root, but=("",)) == before
    bench.deploy(adopt=True, allow_gap=True).shows("v1").notes("was missing for", "µs")
    bench.rollback().shows("v0").rests()


def test_a_probe_that_fails_half_way_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    live(bench).version("v1")
    make = Path.mkdir

    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        if self.name == "x":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        make(self, *args, **kwargs)

    before = snapshot(bench.root, but=("",))
    monkeypatch.setattr(Path, "mkdir", refuse)
    bench.deploy(adopt=True, exits=12).says(os.strerror(errno.EACCES))
    assert snapshot(bench.root, but=("",)) == before


def test_shared_paths_move_out_without_exchange(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    live(bench).live("apps", {"uploads/a.jpg": "photo"}).version("v1")

    _without_flags(monkeypatch)
    bench.deploy(adopt=True, allow_gap=True, shared=["apps/uploads/"])
    assert (bench.world / "apps/uploads/a.jpg").read_text() == "photo"
    bench.rollback()
    assert (bench.world / "apps/uploads/a.jpg").read_text() == "photo"
    bench.rests()


def test_a_failure_before_the_switch_adopts_nothing(bench: Bench) -> None:
    live(bench).version("v1")
    os.mkfifo(bench.work / "media/fifo")
    before = snapshot(bench.root, but=("",))
    bench.deploy(adopt=True, exits=12).says("fifo")
    assert snapshot(bench.root, but=("",)) == before


def test_a_directory_of_another_owner_is_refused_or_adopted_by_what_the_kernel_allows(bench: Bench) -> None:
    """Moving a directory to another parent needs write permission on the directory itself."""
    bench.version("v1", "apps").live("apps", {"f": "v0"})
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    for directory in (bench.root, bench.world, bench.work):
        os.chown(directory, 65534, 65534)
    (bench.world / "apps").chmod(0o755)
    before = snapshot(bench.world)

    def story() -> None:
        bench.deploy(adopt=True, exits=12).says("write permission on the directory itself")

    as_nobody(story)
    assert snapshot(bench.world) == before
    os.chown(bench.world / "apps", 65534, 65534)
    as_nobody(lambda: bench.deploy(adopt=True).shows("v1"))


def test_an_adoption_of_one_tree_keeps_the_others_sockets(bench: Bench) -> None:
    bench.version("v1").deploy()
    running = bench.current
    bench.live("docs", {"d": "live"}).adopt("docs", add=True)
    assert (bench.site_root / "current/run").resolve().name == running
    bench.shows(docs={"d": "live"})
    bench.rests()


def test_the_plan_of_an_adoption_touches_nothing(bench: Bench) -> None:
    live(bench)
    before = snapshot(bench.root)
    for name in ("apps", "conf", "media"):
        bench.paths[name] = bench.world / name
    from treeswap.site import Pair

    pairs = [Pair(None, path, name) for name, path in bench.paths.items()]
    plan = bench.site.plan_adopt(bench.site.request_for(pairs))
    assert len(plan.steps) == 3 and plan.changes
    assert snapshot(bench.root) == before
