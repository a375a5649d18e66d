"""A file of treeswap's own that makes no sense, be its checksum right or not; and a record that cannot be read, which
stands before no other release."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from damaging import file_of, flip

import treeswap
from bench import Bench, in_child
from treeswap import places
from treeswap.adopt import Move
from treeswap.envelope import seal, unseal
from treeswap.errors import Damaged, PlaceRefused
from treeswap.layout import Layout
from treeswap.release import Tree
from treeswap.site import Request
from treeswap.site.core import failure

# ---------------------------------------------------------------- a record that cannot be read


def warnings_of(bench: Bench) -> list[str]:
    """What `status` warns of."""
    told: list[str] = []
    treeswap.Site.at(bench.site_root, listener=lambda e: told.append(e.note or "") if e.warning else None).status()
    return told


def test_a_record_under_another_name_is_damage(two: Bench) -> None:
    records = two.site_root / ".treeswap/records"
    (records / "20200101000000.json").write_bytes((records / f"{two.current}.json").read_bytes())
    assert ["20200101000000" in told for told in warnings_of(two)] == [True]
    with pytest.raises(Damaged, match="20200101000000"):
        two.site.switch("20200101000000")


@pytest.fixture
def two(bench: Bench) -> Bench:
    return bench.version("v1").deploy().version("v2").deploy()


@pytest.fixture
def three(two: Bench) -> Bench:
    return two.version("v3").deploy()


def test_a_damaged_record_does_not_stand_before_the_other_releases(three: Bench) -> None:
    v1, v2, v3 = three.ids
    record = file_of(three, "record").with_name(f"{v2}.json")
    flip(record)
    assert [str(record) in told and f"mv {record}" in told for told in warnings_of(three)] == [True]
    status = three.site.status()
    assert (status.state, status.current, status.rollback_to) == ("rest", v3, v1)
    assert sorted(three.states()) == [v1, v3]
    three.rollback().shows("v1").version("v4").deploy().shows("v4")
    assert (None, v2, "damaged") in [(p.tree, p.version, p.kind) for p in three.site.verify().problems]


def test_while_a_record_is_damaged_nothing_is_removed(three: Bench) -> None:
    """It may name any version."""
    v1, v2, v3 = three.ids
    flip(file_of(three, "record"))
    versions = three.versions("apps")
    three.prune(keep=1, grace=0, exits=12).says(f"{v1}.json is damaged", "mv ")
    three.recover().version("v4").deploy(keep=1, grace=0).notes("could not be pruned").shows("v4")
    three.recover()
    assert set(versions) < set(three.versions("apps"))
    assert {v1, v2, v3} < set(os.listdir(three.site_root / "releases"))


def test_a_release_whose_record_is_damaged_is_given_up_as_the_hint_says(three: Bench) -> None:
    v1 = three.ids[0]
    record = file_of(three, "record")
    flip(record)
    three.switch(v1, exits=12).says(f"mv {record} {record}.damaged")
    record.rename(f"{record}.damaged")
    three.recover().shows("v3").rests()
    assert v1 not in three.versions("apps")


def test_what_a_damaged_record_may_have_been_the_label_of_is_said(two: Bench) -> None:
    record = two.site_root / ".treeswap/records" / f"{two.ids[0]}.json"
    record.write_bytes(b"nonsense")
    two.switch("spring", exits=2).says("there is no release 'spring'", f"{two.ids[0]} cannot be read")


def test_from_a_current_release_whose_record_is_damaged_a_rollback_leads_away(three: Bench) -> None:
    v2, v3 = three.ids[1:]
    flip(file_of(three, "current's record"))
    three.version("v4").deploy(exits=12).says(v3, "treeswap rollback")
    status = three.site.status()
    assert (status.current, status.rollback_to, status.state) == (v3, v2, "rest")
    assert all(tree.ok and not tree.problem for tree in status.trees.values())
    three.rollback().shows("v2").rollback().shows("v1").version("v5").deploy().shows("v5")


def test_a_rollback_from_a_damaged_record_leaves_no_public_path_dangling(two: Bench) -> None:
    v2 = two.ids[-1]
    two.tree("more", {"f": "v2"}).deploy("more", add=True)
    flip(file_of(two, "current's record"))
    for back in (two.rollback, lambda exits: two.switch(v2, exits)):
        back(exits=12).says("lacks more", "--force")
    two.shows("v2").rollback(force=True)
    assert two.current == v2


def test_a_record_that_may_not_be_read_is_no_different(three: Bench) -> None:
    v1 = three.ids[0]
    file_of(three, "record").unlink()
    file_of(three, "current's record").with_name(f"{v1}.json").mkdir()  # nobody, not even root, can read it
    assert len(warnings_of(three)) == 1
    three.rollback().shows("v2")


def test_a_record_that_is_a_link_to_nowhere_is_not_gone(three: Bench) -> None:
    v1 = three.ids[0]
    record, versions = file_of(three, "record"), three.versions("apps")
    record.unlink()
    record.symlink_to("nowhere")
    three.recover()
    assert three.versions("apps") == versions and v1 in warnings_of(three)[0]


def test_a_trees_dir_that_was_another_trees_keeps_what_records_name(two: Bench) -> None:
    vault = two.root / "vault"
    trees = {"old": Tree("old", two.world / "old", trees_dir=vault)}
    two.tree("old", {"f": "old"})
    two.site.deploy(Request({"old": two.work / "old"}, trees, two.site.settings, add=True))
    named = two.current
    two.site.unadopt("old")
    trees = {"new": Tree("new", two.world / "new", trees_dir=vault)}
    two.site.deploy(Request({"new": two.work / "old"}, trees, two.site.settings, add=True))
    two.recover()
    assert (vault / named / "f").read_text() == "old" and two.site.verify(named).problems == ()


# ---------------------------------------------------------------- sense behind the checksum


def edit(file: Path, **members: object) -> None:
    """Another value with a checksum that fits."""
    file.write_bytes(seal({**unseal(file.read_bytes(), "it"), **members}))


@pytest.mark.parametrize("name", ["..", "../../../etc", "run", "", "a/b", "\ud800", 3, None])
def test_a_tree_in_a_record_has_the_name_of_one(two: Bench, name: object) -> None:
    record = file_of(two, "record")
    versions = unseal(record.read_bytes(), "it")["versions"]
    edit(record, versions=[{**versions[0], "tree": name}, *versions[1:]])
    assert [str(record) in told for told in warnings_of(two)] == [True]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("path", "relative"),
        ("path", "/a/../b"),
        ("trees_dir", "\0"),
        ("shared", ["../up/"]),
        ("touch", ["/etc/passwd"]),
    ],
)
def test_a_path_in_site_json_is_one_of_its_kind(two: Bench, member: str, value: object) -> None:
    file = file_of(two, "site.json")
    trees = unseal(file.read_bytes(), "it")["trees"]
    edit(file, trees=[{**trees[0], member: value}, *trees[1:]])
    with pytest.raises(Damaged, match=re.escape(str(file))):
        two.site.status()


def test_what_is_nested_beyond_measure_is_damage(two: Bench) -> None:
    body = b'{"format":1,"name":' + 100_000 * b"["
    file_of(two, "site.json").write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body + b"}"))
    with pytest.raises(Damaged):
        two.site.status()


@pytest.mark.parametrize("moves", [[{"tree": "apps"}], [{}], [3], None])
def test_an_interrupted_adoption_of_something_else_is_not_gone_on_with(two: Bench, moves: object) -> None:
    foreign = two.world / "foreign"
    foreign.mkdir()
    if moves == [{"tree": "apps"}]:
        tree = replace(two.site.trees["apps"], path=foreign)
        moves = [Move.into(Layout(two.site_root), tree, two.current, gap=False).details()]
    line = {"at": "2026-01-01T00:00:00Z", "event": "intent", "by": "x", "what": "adopt", "why": "adopt"}
    with file_of(two, "journal").open("ab") as journal:
        journal.write(seal({**line, "from": two.ids[0], "to": two.current, "details": {"moves": moves}}))
    two.recover(exits=12).says("journal", "damaged")
    with pytest.raises(Damaged):
        two.site.status()
    assert foreign.is_dir() and not foreign.is_symlink()


@pytest.mark.parametrize("which", ["public", "copy"])
def test_an_interrupted_unadopt_of_something_else_is_not_gone_on_with(two: Bench, which: str) -> None:
    foreign = two.world / "foreign"
    foreign.mkdir()
    public, copy = two.world / "apps", two.site_root / "trees/apps/.unadopt.0123456789abcdef.tswap"
    copies = {"apps": [str(foreign if which == "public" else public), str(foreign if which == "copy" else copy)]}
    line = {"at": "2026-01-01T00:00:00Z", "event": "intent", "by": "x", "what": "unadopt", "why": "unadopt"}
    details = {"copies": copies, "modes": {"apps": 0o700}}
    with file_of(two, "journal").open("ab") as journal:
        journal.write(seal({**line, "from": two.current, "to": None, "details": details}))
    two.recover(exits=12).says("journal", "damaged").shows("v2")
    assert foreign.is_dir() and "apps" in two.site.trees


def test_a_journal_that_gave_out_the_last_id_says_so(two: Bench) -> None:
    with file_of(two, "journal").open("ab") as journal:
        line = {"at": "2026-01-01T00:00:00Z", "event": "reserved", "by": "x", "ids": [14 * "9"]}
        journal.write(seal(line))
    two.version("v3").deploy(exits=12).says("no id after").shows("v2")


@pytest.mark.parametrize("text", [b"", b"{}", seal({"why": 3}), seal({"why": "w", "by": "b", "since": "2026-01-01"})])
def test_a_damaged_hold_names_the_way_out(two: Bench, text: bytes) -> None:
    (two.site_root / ".treeswap/hold.json").write_bytes(text)
    two.rollback(exits=12).says("hold", "treeswap unlock")
    assert two.site.release_hold()
    two.rollback().shows("v1")


@pytest.mark.parametrize(
    "text", ['{"pid": "x"}', "[]", 9999 * "[", '{"by": 1, "since": "2026", "doing": 0, "pid": 1e999}']
)
def test_a_lock_signed_with_nonsense_is_held_all_the_same(two: Bench, text: str) -> None:
    lock = two.site_root / ".treeswap/switch.lock"
    lock.write_text(text)
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status = two.site.status()
        assert status.lock is not None and status.lock.pid == os.getpid()


def test_what_could_not_be_read_again_is_not_written(two: Bench) -> None:
    two.version("v3").deploy(exits=2, label="a\0b").says("cannot be kept").shows("v2")
    two.deploy(revision="caf\udce9").shows("v3").rests()


@pytest.mark.parametrize("name", ["site.json", "journal.jsonl", "records/{}.json", "hold.json", "leases/{}"])
def test_nobody_waits_for_a_fifo_in_a_files_place(two: Bench, name: str) -> None:
    file = two.site_root / ".treeswap" / name.format(two.ids[0])
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    done = os.waitstatus_to_exitcode(in_child(lambda: _look_and_go_back(two)))
    assert done == 0, "it waited, or failed in no way of its own"


def _look_and_go_back(bench: Bench) -> None:
    signal.alarm(20)
    for act in (lambda: bench.site.status(), lambda: bench.site.releases(), lambda: bench.site.rollback()):
        with suppress(treeswap.TreeswapError):
            act()


def test_a_mark_that_is_no_text_is_no_mark(two: Bench) -> None:
    trees_dir = two.root / "elsewhere"
    trees_dir.mkdir()
    (trees_dir / ".treeswap-site").write_bytes(b"\xff\xfe")
    with pytest.raises(PlaceRefused, match="mark"):
        places.check_trees_dir(trees_dir, "0" * 32)


def test_a_directory_that_cannot_be_listed_is_a_failure_with_a_name(two: Bench) -> None:
    """What the system says of a descriptor has a number for a file's name."""
    fd = os.open(two.root, os.O_RDONLY | os.O_PATH)
    with pytest.raises(OSError) as told:
        os.listdir(fd)
    os.close(fd)
    assert "the disk" in failure(told.value).message


def test_a_sign_of_an_adoption_that_is_no_text_is_cleared(two: Bench) -> None:
    (two.site_root / ".treeswap/moving").write_bytes(b"\xff\xfe")
    assert two.site.verify().problems == ()
    two.recover().rests()
