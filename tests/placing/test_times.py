"""Which times files bear: HTTP caches tell content by mtime and size in whole seconds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from treeswap.manifest import Entry
from treeswap.stage.times import SECOND, Times

from . import oracle
from .easel import Easel

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * SECOND


def seconds(path: Path) -> int:
    return path.stat().st_mtime_ns // SECOND


def test_a_first_copy_has_all_times_of_the_source(easel: Easel) -> None:
    easel.write({"old": "x", "future": "x", "dir/in": "x"})
    os.utime(easel.source / "old", ns=(5, 123_456_789))
    os.utime(easel.source / "future", ns=(5, NOON_NS * 2 + 7))
    os.utime(easel.source / "dir", ns=(5, 999_999_999_999))
    os.utime(easel.source, ns=(5, 888_888_888_888))
    version = easel.place("1", now=NOON)
    assert oracle.facts(version) == oracle.facts(easel.source)


def test_what_did_not_change_keeps_its_time(easel: Easel) -> None:
    easel.write({"file": "x", "dir/in": "x"})
    (easel.source / "link").symlink_to("file")
    first = easel.place("1", now=NOON)
    for name in ("file", "dir", "dir/in", "link", "."):
        os.utime(easel.source / name, ns=(1, NOON_NS + 30 * SECOND), follow_symlinks=False)
    easel.write({"new": "x"})
    second = easel.place("2", now=NOON + timedelta(minutes=1))
    before, after = oracle.facts(first), oracle.facts(second)
    assert {path: after[path] for path in before} == before


def test_a_change_after_the_last_seal_has_the_sources_time(easel: Easel) -> None:
    easel.write({"file": "x"})
    easel.place("1", now=NOON)
    easel.write({"file": "other", "new": "x"})
    for name, ns in {"file": NOON_NS + 30 * SECOND + 5, "new": NOON_NS + 40 * SECOND}.items():
        os.utime(easel.source / name, ns=(1, ns))
    second = easel.place("2", now=NOON + timedelta(minutes=1))
    assert (second / "file").stat().st_mtime_ns == NOON_NS + 30 * SECOND + 5
    assert (second / "new").stat().st_mtime_ns == NOON_NS + 40 * SECOND


def test_a_change_with_an_older_or_a_future_time_has_that_of_the_deploy(easel: Easel) -> None:
    easel.write({"file": "x"})
    easel.place("1", now=NOON)
    minute = NOON_NS + 60 * SECOND
    for i, ns in enumerate([1, NOON_NS - 1, NOON_NS + SECOND - 1, minute + 1, NOON_NS * 2]):
        easel.write({"file": f"y{i}", "new": f"x{i}"})
        for name in ("file", "new"):
            os.utime(easel.source / name, ns=(1, ns))
        base, sealed = easel.base, easel.sealed_ns
        version = easel.place(str(i + 2), now=NOON + timedelta(minutes=1))
        assert (version / "file").stat().st_mtime_ns == (version / "new").stat().st_mtime_ns == minute
        easel.base, easel.sealed_ns = base, sealed


def test_the_same_second_never_names_two_contents(easel: Easel) -> None:
    """Deploys under a clock that stands still: each content of one size has a second of its own."""
    easel.write({"file": "0"})
    (easel.source / "link").symlink_to("0")
    seen = {seconds(easel.place("0", now=NOON) / "file")}
    links = {os.lstat(easel.versions / "0" / "link").st_mtime_ns // SECOND}
    for i in range(1, 6):
        easel.write({"file": str(i)})
        (easel.source / "link").unlink()
        (easel.source / "link").symlink_to(str(i))
        version = easel.place(str(i), now=NOON)
        easel.sealed_ns = (easel.sealed_ns or 0) + (i - 1) * SECOND  # a seal is never earlier than what it sealed
        seen.add(seconds(version / "file"))
        links.add(os.lstat(version / "link").st_mtime_ns // SECOND)
    assert len(seen) == len(links) == 6


def test_going_back_to_old_content_is_a_change_of_its_own(easel: Easel) -> None:
    easel.write({"file": "a"})
    os.utime(easel.source / "file", ns=(1, SECOND))
    first = easel.place("1", now=NOON)
    easel.write({"file": "b"})
    os.utime(easel.source / "file", ns=(1, 2 * SECOND))
    second = easel.place("2", now=NOON + timedelta(minutes=1))
    easel.write({"file": "a"})
    os.utime(easel.source / "file", ns=(1, SECOND))
    third = easel.place("3", now=NOON + timedelta(minutes=2))
    assert len({seconds(version / "file") for version in (first, second, third)}) == 3


def test_a_changed_mode_is_a_change_and_a_changed_attribute_is_none(easel: Easel) -> None:
    easel.write({"mode": "x", "tagged": "x"})
    first = easel.place("1", now=NOON)
    (easel.source / "mode").chmod(0o600)
    os.setxattr(easel.source / "tagged", "user.x", b"1")
    second = easel.place("2", now=NOON + timedelta(minutes=1))
    assert seconds(second / "mode") == NOON_NS // SECOND + 60
    assert (second / "tagged").stat().st_mtime_ns == (first / "tagged").stat().st_mtime_ns


def test_the_time_of_a_deploy_is_later_than_every_seal() -> None:
    assert Times(NOON_NS, None, first=True).deploy_ns == NOON_NS
    assert Times(NOON_NS, NOON_NS - SECOND - 1, first=False).deploy_ns == NOON_NS
    assert Times(NOON_NS, NOON_NS + 1, first=False).deploy_ns == NOON_NS + SECOND
    assert Times(NOON_NS, NOON_NS + 5 * SECOND, first=False).deploy_ns == NOON_NS + 6 * SECOND


def test_a_time_that_the_base_has_in_the_future_is_not_used_again() -> None:
    """A first copy keeps even a time in the future, which a later deploy may fall on."""
    base = Entry("f", 0o644, None, None, 1, NOON_NS + 123, b"a" * 64, "", "source")
    new = base._replace(content=b"b" * 64)
    times = Times(NOON_NS, NOON_NS - 9 * SECOND, first=False)
    assert times.of_file(1, new, base, touched=False) == NOON_NS + SECOND
    assert times.of_file(1, new._replace(size=2), base, touched=False) == NOON_NS
