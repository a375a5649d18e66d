"""The sick disk: `verify` finds everything that is not what was sealed, and nothing else is believed or gone to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench import Bench, read_tree
from treeswap import stage
from treeswap.cache import Cache, Learned
from treeswap.cli.program import run as run_program
from treeswap.errors import Damaged
from treeswap.journal import Journal
from treeswap.layout import Layout
from treeswap.manifest import Manifest
from treeswap.records import Records
from treeswap.release import ReleaseId
from treeswap.sitefile import read_site

from .effort import sample
from .fuzz import flipped
from .sick import Named, harms, rich_tree

Figures = Callable[[str, object], None]


@pytest.fixture
def sealed(bench: Bench) -> Bench:
    """Two releases of two trees, one of which has every kind of entry."""
    bench.version("v1", "conf").tree("apps", {"old": "v1"}).deploy(grace=0.0)
    rich_tree(bench.work / "apps")
    return bench.version("v2", "conf").deploy()


@contextmanager
def as_it_was(directory: Path) -> Iterator[None]:
    """Whatever is done to a directory is undone."""
    kept = directory.with_name("kept")
    subprocess.run(["cp", "-a", str(directory), str(kept)], check=True)
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", str(directory)], check=True)
        kept.rename(directory)


def test_each_harm_to_a_version_is_named_and_nothing_else(sealed: Bench, record_property: Figures) -> None:
    version = sealed.slot("apps")
    every = list(harms(version))
    site = sealed.site
    for harm in every:
        with as_it_was(version):
            harm.does(version)
            found = [(p.tree, p.version, p.kind, p.path) for p in site.verify().problems]
        assert found == [("apps", sealed.current, *named) for named in harm.named], str(harm)
    assert site.verify().problems == ()
    record_property("figures", f"harms: {len(every)} states")


def test_many_harms_at_once_are_all_named(sealed: Bench) -> None:
    version = sealed.slot("apps")
    named: Named = set()
    for harm in harms(version):
        ((_, path),) = harm.named
        before = {other for _, other in named}
        if not any(path.startswith(other.rstrip("/")) or other.startswith(path.rstrip("/")) for other in before):
            with suppress(FileNotFoundError):
                harm.does(version)
                named |= harm.named
    assert len(named) > 10 and {(p.kind, p.path) for p in sealed.site.verify().problems} == named


def test_verify_exits_with_16_and_a_damaged_release_is_gone_to_by_force_only(sealed: Bench) -> None:
    first, second = sealed.ids
    file = sealed.slot("conf", first) / "f"
    file.write_text("rot")
    at = ("--site", str(sealed.site_root))
    assert run_program(["verify", *at]) == run_program(["verify", first, *at]) == 16
    assert run_program(["verify", second, *at]) == 0
    for words in (["rollback"], ["rollback", first], ["switch", first]):
        assert run_program([*words, *at]) == 12
        assert sealed.current == second and read_tree(sealed.world / "conf")["f"] == b"v2"
    assert run_program(["rollback", "--force", *at]) == 0
    assert sealed.current == first and read_tree(sealed.world / "conf")["f"] == b"rot"
    assert run_program(["switch", second, *at]) == 0
    assert run_program(["switch", first, *at]) == 12 and run_program(["switch", first, "--force", *at]) == 0
    file.write_text("v1")
    os.utime(file, ns=(0, _sealed_time(sealed, "conf", first, b"f")))
    assert run_program(["verify", *at]) == 0
    assert run_program(["switch", second, *at]) == run_program(["switch", first, *at]) == 0


def _sealed_time(bench: Bench, tree: str, id: str, path: bytes) -> int:
    manifest = (bench.site_root / ".treeswap/manifests" / tree / id).read_bytes()
    return next(int(line.split(b"\t")[7]) for line in manifest.splitlines() if line.endswith(b"\t" + path))


# ---------------------------------------------------------------- bit by bit


def bits(path: Path, quick: int) -> list[int]:
    return sample(range(path.stat().st_size * 8), quick=quick, salt=path.name)


def test_no_flipped_bit_of_a_record_is_believed(sealed: Bench, record_property: Figures) -> None:
    layout, id = Layout(sealed.site_root), ReleaseId(sealed.ids[0])
    path, records = layout.record(id), Records(layout)
    good = path.read_bytes()
    for bit in range(len(good) * 8):
        path.write_bytes(flipped(good, bit))
        with pytest.raises(Damaged):
            records.find(id)
    for bit in bits(path, 10):
        path.write_bytes(flipped(good, bit))
        assert [(p.version, p.kind) for p in sealed.site.verify().problems] == [(id, "damaged")], f"bit {bit}"
        assert run_program(["verify", "--site", str(sealed.site_root)]) == 16
        assert run_program(["switch", id, "--force", "--site", str(sealed.site_root)]) == 12
    record_property("figures", f"record: {len(good) * 8} states")


def test_no_flipped_bit_of_a_manifest_is_believed(sealed: Bench, record_property: Figures) -> None:
    layout, records = Layout(sealed.site_root), Records(Layout(sealed.site_root))
    record = records.find(ReleaseId(sealed.current))
    assert record is not None
    version = record.versions["conf"]
    path = layout.manifest("conf", version.id)
    good = path.read_bytes()
    for bit in range(len(good) * 8):
        path.write_bytes(flipped(good, bit))
        with pytest.raises(Damaged):
            records.manifest(version)
    for bit in bits(path, 10):
        path.write_bytes(flipped(good, bit))
        problems = [(p.tree, p.version, p.kind, p.path) for p in sealed.site.verify().problems]
        assert problems == [("conf", version.id, "damaged", None)], f"bit {bit}"
    record_property("figures", f"manifest: {len(good) * 8} states")


def test_no_flipped_bit_of_site_json_is_believed(sealed: Bench) -> None:
    layout = Layout(sealed.site_root)
    good = layout.site_json.read_bytes()
    for bit in range(len(good) * 8):
        layout.site_json.write_bytes(flipped(good, bit))
        with pytest.raises(Damaged):
            read_site(layout)


def test_no_flipped_bit_of_the_journal_is_believed(sealed: Bench, record_property: Figures) -> None:
    """But for its end, which may be what a power cut left of a line and then never counted."""
    path = Layout(sealed.site_root).journal
    journal = Journal(path, by="x", clock=sealed.clock)
    good = path.read_bytes()
    events = list(journal.events())
    end = sum(map(len, good.splitlines(keepends=True)[:-1])) - 1
    chosen = sample(range(len(good) * 8), quick=3000, salt="journal")
    for bit in chosen:
        path.write_bytes(flipped(good, bit))
        if bit // 8 < end:
            with pytest.raises(Damaged):
                journal.history()
        else:
            assert list(journal.events()) in (events[:-1], events[:-2]), f"bit {bit}"
    record_property("figures", f"journal: {len(chosen)} of {len(good) * 8} states")


def test_a_damaged_cache_is_dropped(sealed: Bench, record_property: Figures) -> None:
    path = Layout(sealed.site_root).cache / "conf"
    for file in (sealed.work / "conf").rglob("*"):
        os.utime(file, (0, 0))
    _as_if_read_later(sealed)
    good, key = path.read_bytes(), _key(sealed)
    assert Cache.load(path, key).directories, "there is something to be damaged"
    for bit in range(len(good) * 8):
        path.write_bytes(flipped(good, bit))
        assert not Cache.load(path, key).directories, f"bit {bit}"
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert not Cache.load(path, key).directories, f"cut after {length}"
    deployed = sample(range(len(good) * 8), quick=8, full=60, salt=path.name)
    for number, bit in enumerate(deployed):
        path.write_bytes(flipped(good, bit))
        sealed.version(f"n{number}", "conf").deploy().shows(conf=_content(f"n{number}"))
        path.write_bytes(good[: bit // 8])
        sealed.version(f"m{number}", "conf").deploy().shows(conf=_content(f"m{number}"))
    assert sealed.site.verify().problems == ()
    record_property("figures", f"cache: {len(good) * 9 + 2 * len(deployed)} states")


def _content(text: str) -> dict[str, str | bytes | None]:
    return {"f": text, "sub/g": text, "sub/constant": "c", "other": "o"}


def _as_if_read_later(bench: Bench) -> None:
    """A cache of the source, made as if two seconds had passed since its files changed."""
    source, manifest = (
        bench.work / "conf",
        Manifest.load((Layout(bench.site_root).manifests / "conf" / bench.current).read_bytes(), "it"),
    )
    known = {}
    for path, directory in manifest.directories.items():
        learned = Learned(b"", "")
        for name in directory.entries():
            status = (source / os.fsdecode(path) / os.fsdecode(name)).stat()
            learned.learn(name, status, status.st_ctime_ns + 10**10, b"0" * 64, "")
        known[path] = learned.known(directory.digest)
    Cache(_key(bench), known).save(Layout(bench.site_root).cache / "conf")


def _key(bench: Bench) -> bytes:
    tree = bench.site.trees["conf"]
    return stage.cache_key(tree, Layout(bench.site_root).shared_of(tree), as_root=os.geteuid() == 0)
