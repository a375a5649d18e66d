"""Bad input to each reader of a file of the product's: its own error, or a value that makes sense.

Bytes at random, good files spoilt, and values spoilt behind a checksum that fits.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Bench
from treeswap import hold, lock, places
from treeswap.cache import Cache
from treeswap.envelope import seal
from treeswap.errors import PlaceRefused, TreeswapError
from treeswap.history import History
from treeswap.journal import Journal
from treeswap.layout import Layout, id_in, site_of_public_text
from treeswap.manifest import Manifest
from treeswap.records import Records
from treeswap.release import Record, ReleaseId, tree_name
from treeswap.sitefile import SiteFile, read_site

from .fuzz import Random, manifest_of, spoilt_bytes, spoilt_line, spoilt_manifest
from .fuzz_feed import fed, rounds, spoilings


@pytest.fixture
def good(bench: Bench) -> Bench:
    bench.version("v1").deploy().version("v2").deploy(label="two", revision="abc").rollback()
    return bench.version("v3").deploy(shared=["apps/up/"], exclude=["*.pyc"], after=["true"])


# ---------------------------------------------------------------- site.json, records, journal


def makes_sense(record: Record) -> None:
    for name, version in record.versions.items():
        assert name == version.tree == tree_name(name) and ReleaseId.valid(version.id)
        assert version.trees_dir is None or version.trees_dir.is_absolute()
    assert ReleaseId.valid(record.stands_for) and record.sealed_at.tzinfo is not None
    os.fsencode(f"{record.by}{record.label}{record.revision}")


def test_records(good: Bench, record_property: Callable[[str, object], None]) -> None:
    layout, id = Layout(good.site_root), ReleaseId(good.ids[1])
    path = layout.record(id)

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return Records(layout).find(id)

    for told, data in spoilings("record", path.read_bytes(), (spoilt_bytes, spoilt_line, spoilt_line), 1500):
        value = fed(read, data, told)
        if isinstance(value, Record):
            makes_sense(value)
            assert value.id == id
    record_property("figures", f"records: {rounds(1500)} inputs")


def test_site_json(good: Bench, record_property: Callable[[str, object], None]) -> None:
    layout = Layout(good.site_root)

    def read(data: bytes) -> object:
        layout.site_json.write_bytes(data)
        return read_site(layout)

    original = layout.site_json.read_bytes()
    for told, data in spoilings("site.json", original, (spoilt_bytes, spoilt_line, spoilt_line), 1500):
        value = fed(read, data, told)
        if isinstance(value, SiteFile):
            for name, tree in value.trees.items():
                assert name == tree.name == tree_name(name), told
                assert all(path is None or path.is_absolute() for path in (tree.path, tree.trees_dir)), told
                assert not any(".." in Path(path).parts or path.startswith("/") for path in (*tree.shared, *tree.touch))
            assert 0 <= value.settings.grace < float("inf") and value.settings.keep_releases >= 0
    record_property("figures", f"site.json: {rounds(1500)} inputs")


def test_journals(good: Bench, record_property: Callable[[str, object], None]) -> None:
    """A line more, a line less, a line spoilt: the history, and what `log` makes of the events."""
    path = Layout(good.site_root).journal
    journal, site = Journal(path, by="x", clock=good.clock), good.site
    original = path.read_bytes()

    def one_line(rng: Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        number = rng.randrange(len(lines))
        spoilt = spoilt_line(rng, lines[number])
        lines[number : number + rng.randrange(2)] = [spoilt]
        return b"".join(lines)

    def read(data: bytes) -> object:
        path.write_bytes(data)
        history = journal.history()
        site.history()
        return history

    for told, data in spoilings("journal", original, (spoilt_bytes, one_line, one_line, one_line), 800):
        value = fed(read, data, told)
        if isinstance(value, History):
            ids = [*value.served, *value.bad, *value.left_at, *(id for _, id in value.damaged)]
            assert all(ReleaseId.valid(id) for id in ids), told
    record_property("figures", f"journal: {rounds(800)} inputs")


# ---------------------------------------------------------------- manifests and caches


def leads_inside(path: bytes) -> bool:
    return not path.startswith(b"/") and all(part not in (b"", b".", b"..") for part in path.split(b"/"))


def read_whole(data: bytes) -> Manifest:
    """A manifest of which every line was read."""
    manifest = Manifest.load(data, "the manifest")
    assert len(manifest.entries) >= len(manifest.directories)
    return manifest


def test_manifests(good: Bench, record_property: Callable[[str, object], None]) -> None:
    data = (good.site_root / ".treeswap/manifests/apps" / good.current).read_bytes()
    for told, spoilt in spoilings("manifest", data, (spoilt_bytes, *3 * (spoilt_manifest,)), 3000):
        value = fed(read_whole, spoilt, told)
        if isinstance(value, Manifest):
            assert all(leads_inside(path) for path in value.entries if path), told
            assert list(value.entries) == sorted(value.entries), told
            assert fed(read_whole, value.dump(), told).entries == value.entries  # type: ignore[attr-defined]
    record_property("figures", f"manifests: {rounds(3000)} inputs")


LINE = st.lists(
    st.sampled_from(
        [b"f", b"d", b"l", b"o", b"0755", b"", b"0", b"-1", b"1", b"source", b"..", b"a", b"a/b", b"\\", b"/"]
    )
    | st.binary(max_size=8),
    min_size=8,
    max_size=11,
).map(b"\t".join)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(LINE, max_size=5))
def test_manifests_of_any_lines(lines: list[bytes]) -> None:
    value = fed(read_whole, manifest_of(b"treeswap manifest 1", lines), "lines")
    assert value is None or all(leads_inside(path) for path in value.entries if path)  # type: ignore[attr-defined]


def test_caches(good: Bench, record_property: Callable[[str, object], None]) -> None:
    """One that cannot be understood is an empty one, whatever is in it."""
    from .fuzz import spoilt_cache

    path = good.site_root / ".treeswap/cache/fuzzed"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        cache = Cache.load(path, b"key")
        assert all(isinstance(directory.files(), dict) for directory in cache.directories.values())
        return cache

    files = [b"1 2 3 4 5\t" + b"a" * 64 + b"\t\tf", b"1 2 3 4 6\t" + b"b" * 64 + b"\t\ta\\nb"]
    lines = [b"d\t" + b"c" * 64 + b"\t" + b"d" * 64 + b"\t\t", *files, b"d\t\t" + b"e" * 64 + b"\t\tsub"]
    for told, data in spoilings("cache", b"\n".join(lines), (spoilt_cache,), 800):
        value = fed(read, data, told)
        assert isinstance(value, Cache), told
    record_property("figures", f"caches: {rounds(800)} inputs")


# ---------------------------------------------------------------- small ones


def test_marks_holds_and_signatures(good: Bench, record_property: Callable[[str, object], None]) -> None:
    marker, switch_lock = good.root / ".treeswap-site", good.site_root / ".treeswap/switch.lock"
    mark = good.site_root / ".treeswap/hold.json"
    held = os.open(switch_lock, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    site = good.site

    def read(data: bytes) -> object:
        marker.write_bytes(data)
        mark.write_bytes(data)
        switch_lock.write_bytes(data)
        holder = lock.holder(switch_lock)
        assert holder is not None and str(holder)
        with pytest.raises(PlaceRefused):
            places.check_trees_dir(good.root, "0" * 32)
        places.site_of(good.root)
        return hold.read(site.layout)

    line = seal({"why": "w", "by": "b", "since": "2026-01-01T00:00:00Z", "pid": 1, "doing": "x"})
    for told, data in spoilings(
        "small", line, (spoilt_bytes, spoilt_line, lambda rng, data: data.replace(b"x", b"\xff")), 400
    ):
        fed(read, data, told)
    os.close(held)
    record_property("figures", f"marks, holds, signatures: {rounds(400)} inputs")


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.text() | st.sampled_from(["..", "/", "current", "releases/", "20"]))
def test_texts_of_current(text: str) -> None:
    """Whatever `current` reads, it names an id or nothing."""
    assert id_in(text) is None or ReleaseId.valid(text.rpartition("/")[2])
    told = site_of_public_text(text)
    assert told is None or told[0].is_absolute()


def test_words_that_name_a_release(good: Bench) -> None:
    """An id, a prefix, a label, a revision: anything else is refused in a sentence."""
    for word in ("", "2", "20", "..", "\0", "\udcff", "current/..", "two", "abc", "*", "x" * 5000, "previous", "-1"):
        try:
            record = good.site.find_release(word)
        except TreeswapError as error:
            assert error.exit_code == 2 and error.hint, word
        else:
            assert word in (record.label, record.revision, "previous") or record.id.startswith(word)
