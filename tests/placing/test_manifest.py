"""Manifests come back as they were, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from treeswap.errors import Damaged, NewerFormat
from treeswap.manifest import ORIGINS, Entry, Manifest, compare

DIRECTORY = Entry("d", 0o755, 1, 2, 0, 3, b"", "", "source")
FILE = Entry("f", 0o644, 1, 2, 5, 7, b"ab" * 32, "", "source")

unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

names = st.binary(min_size=1, max_size=8).filter(lambda n: n not in (b".", b"..") and not {0, ord("/")} & set(n))
owners = st.one_of(st.none(), st.integers(0, 2**32 - 1))
modes = st.integers(0, 0o7777)
times = st.integers(-(2**63), 2**63 - 1)
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
xattrs = st.one_of(st.just(""), hexes)
origins = st.sampled_from(ORIGINS)


def of_kind(kind: str, size: st.SearchStrategy[int], content: st.SearchStrategy[bytes]) -> st.SearchStrategy[Entry]:
    return st.builds(Entry, st.just(kind), modes, owners, owners, size, times, content, xattrs, origins)


directories = of_kind("d", st.just(0), st.just(b""))
leaves = st.one_of(
    of_kind("f", st.integers(0, 2**62), st.one_of(st.just(b""), hexes.map(str.encode))),
    of_kind("l", st.integers(1, 4095), st.binary(min_size=1, max_size=20).filter(lambda t: 0 not in t)),
    of_kind("o", st.just(0), st.just(b"")),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    entries = {b"": draw(directories)}
    for _ in range(draw(st.integers(0, 12))):
        above = draw(st.sampled_from([path for path, entry in entries.items() if entry.kind == "d"]))
        path = (above + b"/" if above else b"") + draw(names)
        if path not in entries:
            entries[path] = draw(st.one_of(directories, leaves))
    return Manifest.of(entries)


@unhurried
@given(manifests())
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    loaded = Manifest.load(manifest.dump(), "it")
    assert loaded.directories == manifest.directories
    assert loaded.entries == manifest.entries
    assert list(loaded.entries) == sorted(manifest.entries)
    assert loaded.digest == manifest.digest
    assert (loaded.files, loaded.bytes) == (manifest.files, manifest.bytes)


@unhurried
@given(manifests(), st.data())
def test_every_flipped_bit_shows(manifest: Manifest, data: st.DataObject) -> None:
    dump = bytearray(manifest.dump())
    dump[data.draw(st.integers(0, len(dump) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Damaged, match="the manifest of x is damaged"):
        Manifest.load(bytes(dump), "the manifest of x")


@unhurried
@given(manifests(), st.data())
def test_every_missing_end_shows(manifest: Manifest, data: st.DataObject) -> None:
    dump = manifest.dump()
    with pytest.raises(Damaged):
        Manifest.load(dump[: data.draw(st.integers(0, len(dump) - 1))], "it")


def forged(*lines: bytes) -> bytes:
    """A manifest with these lines and a checksum that fits them."""
    body = b"".join(line + b"\n" for line in lines)
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


HEADER = b"treeswap manifest 1"


def line(name: bytes, kind: bytes = b"f", content: bytes = b"", rest: bytes = b"0644\t\t\t\tsource\t5\t1") -> bytes:
    return b"%b\t%b\t%b\t%b" % (kind, rest, content, name)


def directory(path: bytes, rest: bytes = b"0755\t\t\t\tsource\t1\t0\t0\t") -> bytes:
    return b"d\t%b\t%b" % (rest, path)


ROOT = directory(b"")


def test_a_forged_manifest_can_be_read_at_all() -> None:
    forgery = forged(HEADER, ROOT, line(b"a"), line(b"z"), directory(b"sub"), line(b"b"), directory(b"sub/deep"))
    assert len(Manifest.load(forgery, "it").entries) == 6


NO_NAMES = (b"..", b".", b"/", b"/a", b"a/", b"a//b", b"nodir/b", b"a\0b", b"../a", b"x\\q", b"x\\")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="no root"),
        pytest.param([ROOT, ROOT], id="root twice"),
        pytest.param([line(b"a"), ROOT], id="a file before the root"),
        pytest.param([line(b"")], id="a file for a root"),
        *(pytest.param([ROOT, line(path)], id=f"file {path!r}") for path in (b"", *NO_NAMES)),
        *(pytest.param([ROOT, directory(path)], id=f"directory {path!r}") for path in NO_NAMES),
        pytest.param([ROOT, directory(b"sub"), line(b"..")], id="dots below"),
        pytest.param([ROOT, directory(b"sub"), directory(b"sub/..")], id="dots for a directory"),
        pytest.param([ROOT, directory(b"sub"), directory(b"sub/../a")], id="dots between"),
        pytest.param([ROOT, line(b"a"), line(b"a")], id="twice"),
        pytest.param([ROOT, line(b"b"), line(b"a")], id="out of order"),
        pytest.param([ROOT, line(b"a"), directory(b"a/b")], id="below a file"),
        pytest.param([ROOT, line(b"a"), directory(b"a")], id="a file and a directory"),
        pytest.param([ROOT, directory(b"sub/a"), directory(b"sub")], id="before its directory"),
        pytest.param([ROOT, directory(b"b"), directory(b"a")], id="directories out of order"),
        pytest.param([ROOT, line(b"a", b"x")], id="unknown kind"),
        pytest.param([ROOT, line(b"a", b"fl")], id="two kinds"),
        pytest.param([ROOT, line(b"a", b"")], id="no kind"),
        pytest.param([ROOT, line(b"a", content=b"g" * 64)], id="no digest"),
        pytest.param([ROOT, line(b"a", content=b"a" * 63)], id="short digest"),
        pytest.param([ROOT, line(b"a", b"l")], id="no target"),
        pytest.param([ROOT, line(b"a", b"l", b"x\0y")], id="target with NUL"),
        pytest.param([ROOT, line(b"a", b"o", b"x")], id="a fifo with content"),
        *(
            pytest.param([ROOT, line(b"a", rest=rest)], id=f"fields {rest!r}")
            for rest in (
                b"0644\t\t\t\tsource\t5",
                b"0644\t\t\t\tsource\t5\t1\t1",
                b"0648\t\t\t\tsource\t5\t1",
                b"17777\t\t\t\tsource\t5\t1",
                b"-1\t\t\t\tsource\t5\t1",
                b"0644\tx\t\t\tsource\t5\t1",
                b"0644\t\t\t\tnowhere\t5\t1",
                b"0644\t\t\t\tsource\t-5\t1",
                b"0644\t\t\t\tsource\t\t1",
                b"0644\t\t\t\tsource\t5\tnow",
            )
        ),
        *(
            pytest.param([ROOT, directory(b"a", rest=rest)], id=f"fields of a directory {rest!r}")
            for rest in (
                b"0755\t\t\t\tsource\t1\t0\t0",
                b"0755\t\t\t\tsource\t1\t0\t0\t\t",
                b"17777\t\t\t\tsource\t1\t0\t0\t",
                b"0755\t\t\t\tnowhere\t1\t0\t0\t",
                b"0755\t\t\t\tsource\tnow\t0\t0\t",
                b"0755\t\t\t\tsource\t1\tx\t0\t",
            )
        ),
    ],
)
def test_what_no_tree_has_is_damage(lines: list[bytes]) -> None:
    with pytest.raises(Damaged):
        assert Manifest.load(forged(HEADER, *lines), "it").entries


def test_other_files_are_damage() -> None:
    for data in (b"", b"\n", b"sha256 \n", forged(), forged(b"something else"), forged(b"treeswap manifest x", ROOT)):
        with pytest.raises(Damaged):
            Manifest.load(data, "it")


def test_a_newer_format_is_named_as_such() -> None:
    with pytest.raises(NewerFormat, match="the manifest of x has format 2"):
        Manifest.load(forged(b"treeswap manifest 2", b"whatever it is then"), "the manifest of x")


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda e: e._replace(mtime_ns=8), False),
        (lambda e: e._replace(origin="build"), False),
        (lambda e: e._replace(mode=0o600), True),
        (lambda e: e._replace(uid=None), True),
        (lambda e: e._replace(gid=9), True),
        (lambda e: e._replace(size=6), True),
        (lambda e: e._replace(content=b"cd" * 32), True),
        (lambda e: e._replace(xattrs="ab"), True),
        (lambda e: e._replace(kind="l"), True),
    ],
)
def test_times_and_origins_are_no_difference(change: Callable[[Entry], Entry], counts: bool) -> None:
    old = Manifest.of({b"": DIRECTORY, b"a": FILE})
    new = Manifest.of({b"": DIRECTORY, b"a": change(FILE)})
    assert (old.digest != new.digest) is counts
    assert compare(old, new) == ([], [b"a"] if counts else [], [])


def test_names_cannot_be_moved_between_fields() -> None:
    """What is in a link's target in one tree and in a name in the other gives another digest."""
    one = Manifest.of({b"": DIRECTORY, b"b\nc": Entry("l", 0o777, 1, 2, 1, 1, b"a", "", "source")})
    other = Manifest.of({b"": DIRECTORY, b"c": Entry("l", 0o777, 1, 2, 1, 1, b"a\tb\n", "", "source")})
    assert one.digest != other.digest


def test_a_comparison_names_paths_in_order() -> None:
    old = Manifest.of({b"": DIRECTORY, b"gone": DIRECTORY, b"gone/x": FILE, b"same": FILE, b"dir": DIRECTORY})
    changed = DIRECTORY._replace(mode=0o700)
    new = Manifest.of({b"": changed, b"same": FILE, b"new": FILE, b"dir": FILE})
    assert compare(old, new) == ([b"new"], [b"", b"dir"], [b"gone", b"gone/x"])
