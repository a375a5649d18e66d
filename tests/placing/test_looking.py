"""Reading directories that are there: surveys, examinations, strays, names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from treeswap import scan, strays
from treeswap.errors import Failed
from treeswap.manifest import Manifest
from treeswap.outcomes import Event
from treeswap.scan import Fault

from . import oracle, zoo
from .easel import Easel
from .nobody import as_nobody
from .reads import Reads

FILES = {"a.txt": "one", "dir/b.txt": "two", "dir/sub/c.txt": "three"}


# ---------------------------------------------------------------- survey


def check_against_oracle(manifest: Manifest, root: Path) -> None:
    facts = oracle.facts(root)
    assert list(manifest.entries) == sorted(facts)
    for path, entry in manifest.entries.items():
        fact = facts[path]
        seconds, _, fraction = fact.seconds.partition(".")
        told = (entry.kind, f"{entry.mode:o}", f"{entry.uid}:{entry.gid}")
        assert told == (fact.kind, fact.mode, fact.owner)
        assert entry.mtime_ns == int(seconds) * 10**9 + int(fraction[:9]) * (1 if entry.mtime_ns >= 0 else -1)
        if entry.kind == "f":
            assert (entry.content, str(entry.size)) == (fact.digest, fact.size)
        if entry.kind == "l":
            assert entry.content == fact.target


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are kept by root only")
def test_a_survey_tells_what_is_there(filesystem: Path) -> None:
    (filesystem / "live").mkdir()
    zoo.build(filesystem / "live", as_root=True)
    check_against_oracle(scan.survey(filesystem / "live"), filesystem / "live")


def test_a_survey_and_a_version_are_told_alike(easel: Easel) -> None:
    easel.write(FILES)
    zoo.decorate(easel.source)
    version = easel.place("1")
    surveyed = scan.survey(version, origin="source")
    assert surveyed.entries == easel.manifest.entries
    assert surveyed.digest == easel.manifest.digest
    assert scan.survey(version).entries[b"tagged"].origin == "adopted"


def test_a_survey_takes_what_cannot_be_read_as_it_is(room: Path) -> None:
    live = room / "live"
    (live / "closed").mkdir(parents=True)
    (live / "closed" / "in").write_text("x")
    (live / "secret").write_text("x")
    (live / "open").write_text("x")
    os.mkfifo(live / "fifo")

    def run() -> None:
        (live / "secret").chmod(0)
        (live / "closed").chmod(0)
        manifest = scan.survey(live)
        kinds = {path: (entry.kind, bool(entry.content)) for path, entry in manifest.entries.items()}
        assert kinds == {
            b"": ("d", False),
            b"closed": ("o", False),
            b"fifo": ("o", False),
            b"open": ("f", True),
            b"secret": ("f", False),
        }
        assert all(entry.uid is None for entry in manifest.entries.values())
        assert scan.examine(live, manifest) == []
        (live / "closed").chmod(0o700)
        (live / "secret").chmod(0o600)
        (live / "secret").write_text("longer now")
        (live / "fifo").unlink()
        assert scan.examine(live, manifest) == [], "nothing is known of these, so nothing is a fault"
        (live / "open").write_text("y")
        assert [fault.path for fault in scan.examine(live, manifest)] == ["open"]

    as_nobody(run, room)


def test_a_survey_takes_what_does_not_hold_still_without_a_digest(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (room / "live").mkdir()
    (room / "live" / "log").write_text("x")
    (room / "live" / "still").write_text("x")
    Reads(monkeypatch, lambda count: os.truncate(room / "live" / "log", count))
    manifest = scan.survey(room / "live")
    assert manifest.entries[b"log"].undigested and not manifest.entries[b"still"].undigested
    assert scan.examine(room / "live", manifest) == []


def test_a_survey_does_not_look_into_shared_paths(room: Path) -> None:
    live = room / "live"
    (live / "media" / "uploads" / "sub").mkdir(parents=True)
    (live / ".env").write_text("x")
    manifest = scan.survey(
        live, shared=("media/uploads/", ".env", "not/there/"), shared_root=Path("/srv/site/shared/apps")
    )
    entries = {path: (entry.kind, entry.content, entry.origin) for path, entry in manifest.entries.items()}
    assert entries == {
        b"": ("d", b"", "adopted"),
        b".env": ("l", b"/srv/site/shared/apps/.env", "shared"),
        b"media": ("d", b"", "adopted"),
        b"media/uploads": ("l", b"/srv/site/shared/apps/media/uploads", "shared"),
    }


def test_a_survey_of_nothing_is_refused(room: Path) -> None:
    (room / "file").write_text("x")
    for path in (room / "nothing", room / "file"):
        with pytest.raises(Failed, match=f"{path} cannot be read"):
            scan.survey(path)


# ---------------------------------------------------------------- examine


@pytest.fixture
def version(easel: Easel) -> Path:
    easel.write({**FILES, "empty/x/y": "z"})
    (easel.source / "link").symlink_to("a.txt")
    return easel.place("1")


@pytest.mark.parametrize(
    ("harm", "faults"),
    [
        (lambda v: None, []),
        (lambda v: rewrite(v / "a.txt", "eno"), [("changed", "a.txt", "content")]),
        (lambda v: rewrite(v / "a.txt", "longer"), [("changed", "a.txt", "content")]),
        (lambda v: (v / "a.txt").chmod(0o600), [("changed", "a.txt", "mode 0600, sealed with 0644")]),
        (lambda v: v.chmod(0o700), [("changed", ".", "mode 0700, sealed with 0755")]),
        (lambda v: (v / "dir").chmod(0o700), [("changed", "dir/", "mode 0700, sealed with 0755")]),
        (lambda v: os.utime(v / "a.txt", ns=(1, 1)), [("changed", "a.txt", "time")]),
        (lambda v: os.utime(v / "dir", ns=(1, 1)), []),
        (lambda v: os.setxattr(v / "dir", "user.x", b"1"), [("changed", "dir/", "xattrs")]),
        (lambda v: os.setxattr(v / "a.txt", "user.x", b"1"), [("changed", "a.txt", "xattrs")]),
        (lambda v: (v / "dir/b.txt").unlink(), [("missing", "dir/b.txt", "sealed, and not there")]),
        (lambda v: zoo.run("rm", "-r", str(v / "empty")), [("missing", "empty/", "sealed, and not there")]),
        (lambda v: (v / "new").mkdir(), [("added", "new/", "not sealed with it")]),
        (lambda v: (v / "dir" / "new").write_text("x"), [("added", "dir/new", "not sealed with it")]),
        (lambda v: (v / "__pycache__").mkdir(), []),
        (lambda v: (v / "dir" / "x.pyc").write_text("x"), []),
        (lambda v: os.mkfifo(v / "fifo"), [("added", "fifo", "not sealed with it")]),
        (lambda v: replace(v / "link", "elsewhere"), [("changed", "link", "target")]),
        (lambda v: replace(v / "a.txt", "dir"), [("changed", "a.txt", "a symlink, sealed as a file")]),
        (
            lambda v: ((v / "dir").rename(v / "x"), (v / "dir").symlink_to("x")),
            [("changed", "dir", "a symlink, sealed as a directory"), ("added", "x/", "not sealed with it")],
        ),
    ],
)
def test_every_harm_is_found(easel: Easel, version: Path, harm: Callable[[Path], object], faults: list[Fault]) -> None:
    harm(version)
    assert scan.examine(version, easel.manifest, ignore=("__pycache__", "*.pyc")) == faults


def rewrite(path: Path, text: str) -> None:
    """Other content under the same time."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_owner_is_found(easel: Easel, version: Path) -> None:
    os.chown(version / "a.txt", 12, 0)
    os.chown(version / "link", 0, 34, follow_symlinks=False)
    assert scan.examine(version, easel.manifest) == [
        ("changed", "a.txt", "owner 12:0, sealed with 0:0"),
        ("changed", "link", "owner 0:34, sealed with 0:0"),
    ]


def test_what_cannot_be_read_is_damaged(easel: Easel, version: Path) -> None:
    def run() -> None:
        (version / "a.txt").chmod(0)
        (version / "dir").chmod(0o300)
        found = scan.examine(version, easel.manifest)
        (version / "dir").chmod(0o700)
        assert [fault for fault in found if fault.kind != "changed"] == [
            ("damaged", "a.txt", "Permission denied"),
            ("damaged", "dir/", "Permission denied"),
        ]

    as_nobody(run, easel.source.parent)


def test_a_version_that_is_gone_is_missing(easel: Easel, version: Path) -> None:
    version.rename(easel.versions / "elsewhere")
    assert scan.examine(version, easel.manifest) == [("missing", ".", "No such file or directory")]


def test_shared_paths_are_not_followed(easel: Easel) -> None:
    easel.with_tree(shared=("uploads/",)).write(FILES)
    (easel.shared_root / "uploads" / "dir").mkdir(parents=True)
    (easel.shared_root / "uploads" / "file").write_text("x")
    version = easel.place("1")
    assert (version / "uploads" / "file").read_text() == "x"
    assert scan.examine(version, easel.manifest) == []
    assert strays.find(version, easel.manifest, ()) == []


def test_examining_reports_its_progress(easel: Easel) -> None:
    easel.write({f"{i}": "x" for i in range(600)})
    version = easel.place("1")
    events: list[Event] = []
    scan.examine(version, easel.manifest, tree="apps", listener=events.append)
    assert {(event.step, event.tree, event.total) for event in events} == {("verify", "apps", 601)}
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].done == 601 and len(events) > 1


def test_placing_reports_its_progress(easel: Easel) -> None:
    easel.write({f"{i % 7}/{i}": "x" for i in range(600)})
    for name in "12":
        events: list[Event] = []
        easel.place(name, listener=events.append)
        assert {(event.step, event.tree, event.total) for event in events} == {("stage", "apps", 600)}
        assert [event.done for event in events] == [256, 512, 600]


# ---------------------------------------------------------------- strays


def test_strays_are_found_without_reading_files(easel: Easel, version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (version / "upload.jpg").write_text("x")
    (version / "dir" / "sub" / "local.py").write_text("x")
    (version / "new" / "in").mkdir(parents=True)
    (version / "new" / "in" / "file").write_text("x")
    (version / "dir" / "sub" / "c.txt").unlink()
    (version / "empty" / "x" / "__pycache__").mkdir()
    (version / "dir" / "to a directory").symlink_to("sub")

    def pread(fd: int, length: int, offset: int) -> bytes:
        raise AssertionError("a file was read")

    monkeypatch.setattr(os, "pread", pread)
    assert strays.find(version, easel.manifest, ("__pycache__",)) == [
        "dir/sub/local.py",
        "dir/to a directory",
        "new/",
        "upload.jpg",
    ]


def test_a_directory_with_its_sealed_time_is_not_listed(easel: Easel, version: Path) -> None:
    (version / "dir" / "stray").write_text("x")
    assert strays.find(version, easel.manifest, ()) == ["dir/stray"]
    os.utime(version / "dir", ns=(1, easel.manifest.entries[b"dir"].mtime_ns))
    assert strays.find(version, easel.manifest, ()) == []


def test_a_new_version_has_no_strays(filesystem: Path) -> None:
    easel = Easel(filesystem)
    zoo.build(easel.source, as_root=os.geteuid() == 0)
    for i in range(2):
        version = easel.place(str(i))
        for path, entry in easel.manifest.entries.items():
            if entry.kind == "d" and len(path) < 1000:
                assert os.stat(os.path.join(os.fsencode(version), path)).st_mtime_ns == entry.mtime_ns
        assert strays.find(version, easel.manifest, ()) == []
    zoo.deep(version, "stray", [b"d" * 200] * zoo.LONG)
    assert strays.find(version, easel.manifest, ()) == ["stray/"]


def test_a_directory_that_is_gone_has_no_strays(easel: Easel, version: Path) -> None:
    zoo.run("rm", "-r", str(version / "dir"))
    (version / "dir").symlink_to("empty")
    (version / "empty" / "stray").write_text("x")
    assert strays.find(version, easel.manifest, ()) == ["empty/stray"]
    with pytest.raises(FileNotFoundError):
        strays.find(easel.versions / "nothing", easel.manifest, ())


# ---------------------------------------------------------------- names


def test_what_is_only_here_is_told_once(easel: Easel, version: Path) -> None:
    for path in ("a-b", "dir/only/below", "dir-x/y", "uploads/z", "dir/cache/z"):
        (version / path).parent.mkdir(parents=True, exist_ok=True)
        (version / path).write_text("x")
    os.symlink("dir", os.fsencode(version) + b"/\xff")
    only = scan.only_here(version, easel.manifest.entries, shared=("uploads/", "dir/cache"))
    assert only == ["a-b", "dir-x/", "dir/only/", "\udcff"]
    assert scan.only_here(easel.source, easel.manifest.entries) == []
    with pytest.raises(FileNotFoundError):
        scan.only_here(version / "nothing", ())
