"""Where things may be, what records hold, and who stands where."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import in_child
from treeswap import occupants, places
from treeswap.errors import DestinationRefused, NotASite, PlaceRefused, UsageError
from treeswap.layout import Layout, id_in, lies_in, site_of_public_text
from treeswap.manifest import Entry, Manifest
from treeswap.records import Records
from treeswap.release import Command, Record, ReleaseId, Settings, Tree, Version
from treeswap.sitefile import SiteFile, read_site, write_site

ID = ReleaseId("20261122180102")


def test_destinations_are_resolved_but_for_their_last_part(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "road").symlink_to("real")
    (tmp_path / "real/link").symlink_to("/etc")
    assert places.resolved(tmp_path / "road/x") == tmp_path.resolve() / "real/x"
    assert places.resolved(tmp_path / "road/link") == tmp_path.resolve() / "real/link"
    assert places.resolved(tmp_path / "road/x/../y/") == tmp_path.resolve() / "real/y"
    with pytest.raises(DestinationRefused, match="does not exist"):
        places.resolved(tmp_path / "nowhere/x")


@pytest.mark.parametrize(
    ("path", "directory", "inside"),
    [("/a/b", "/a", True), ("/a", "/a", True), ("/ab", "/a", False), ("/a", "/a/b", False), ("/a", "/", True)],
)
def test_lying_in(path: str, directory: str, inside: bool) -> None:
    assert lies_in(Path(path), Path(directory)) is inside


def test_texts_of_links() -> None:
    assert id_in(f"releases/{ID}") == ID
    assert [id_in(text) for text in (ID, f"x/{ID}", "releases/1", f"/releases/{ID}", "")] == [None] * 5
    assert site_of_public_text("/srv/site/current/apps") == (Path("/srv/site"), "apps")
    assert site_of_public_text("current/apps") is site_of_public_text("/srv/site/releases/x/apps") is None


def test_a_closed_directory_above_site_is_refused_unless_the_destination_is_as_closed(tmp_path: Path) -> None:
    for name in ("open", "closed", "closed/inner"):
        (tmp_path / name).mkdir()
    (tmp_path / "closed").chmod(0o750)
    with pytest.raises(PlaceRefused, match="could not be reached"):
        places.check_place(tmp_path / "closed/site", "the site's directory", [tmp_path / "open/apps"], None)
    places.check_place(tmp_path / "closed/site", "the site's directory", [tmp_path / "closed/inner/apps"], None)
    places.check_place(tmp_path / "open/site", "the site's directory", [tmp_path / "closed/apps"], None)


def test_the_topmost_published_directory_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a/public_html/b/static/c"
    deep.mkdir(parents=True)
    assert places.default_place(deep / "x") == tmp_path / "a/.treeswap"
    assert places.default_place(tmp_path / "a/x") == tmp_path / "a/.treeswap"


@pytest.mark.parametrize("name", ["run", "REVISION", "", ".x", "a/b", "a b", "ä", "x" * 101, "a\n"])
def test_names_that_trees_cannot_have(name: str) -> None:
    from treeswap.release import tree_name

    with pytest.raises(UsageError):
        tree_name(name)


# ---------------------------------------------------------------- records


def test_what_a_version_holds_is_content_and_no_site(tmp_path: Path) -> None:
    site, other, trees_dir = (tmp_path / name for name in ("site", "other", "media.trees"))
    versions = [site / "trees/apps" / ID, trees_dir / ID, site / "shared/apps/up", trees_dir / "shared"]
    for place in (site, other, *versions):
        (place / "sub/.treeswap").mkdir(parents=True)
        for directory in (place / "sub", place):
            (directory / ".treeswap").mkdir(exist_ok=True)
            (directory / ".treeswap/site.json").touch()
    (trees_dir / ".treeswap-site").write_text(f"id\n{site}\n")
    for version in versions:
        (version / "sub/deep").mkdir()
        (version / "sub/deep/.treeswap-site").write_text(f"id\n{other}\n")
        for inside in ("", "sub", "sub/deep", ".treeswap"):
            assert places.site_of(version / inside) == site
    assert places.site_of(other / "sub") == other / "sub", "a site may lie in a directory that is one"
    os.mkfifo(tmp_path / ".treeswap-site")
    assert places.site_of(other) == other


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    for name in ("records", "manifests"):
        (tmp_path / ".treeswap" / name).mkdir(parents=True)
    return Layout(tmp_path)


def a_record() -> Record:
    version = Version("apps", ID, "d" * 64, "e" * 64, 3, 4, Path("/mnt/trees"), adopted=True)
    sealed = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return Record(ID, {"apps": version}, sealed, "adopted", "ann@host", "spring", "abc", ID, ID, ID)


def test_a_record_comes_back_as_it_was(layout: Layout) -> None:
    records, record = Records(layout), a_record()
    assert records.find(ID) is None
    records.write(record)
    assert records.find(ID) == record and records.all() == {ID: record} and records.ids() == [ID]
    assert layout.record(ID).stat().st_mode & 0o777 == 0o644
    records.remove([ID])
    records.remove([ID])
    assert records.ids() == []


def test_a_manifest_comes_back_only_if_it_is_the_sealed_one(layout: Layout) -> None:
    records = Records(layout)
    manifest = Manifest.of({b"": Entry("d", 0o755, None, None, 0, 1, b"", "", "source")})
    written = records.write_manifest("apps", ID, manifest)
    version = replace(a_record().versions["apps"], manifest=written)
    assert records.manifest(version).entries == manifest.entries
    assert layout.manifest("apps", ID).stat().st_mode & 0o777 == 0o600
    other = Manifest.of({b"": Entry("d", 0o700, None, None, 0, 1, b"", "", "source")})
    records.write_manifest("apps", ID, other)
    with pytest.raises(Exception, match="is damaged"):
        records.manifest(version)


SETTINGS = Settings(
    keep_releases=3,
    grace=5.5,
    group="web",
    after_switch=(Command("true"), Command("date", tree="apps")),
    build=(Command("make", "apps", ("apps/out", "conf"), timeout=2.5),),
    migrate=(Command("migrate", exclusive=True),),
    on_failure=(Command("mail", local=True, directory=Path("/home/ann")),),
    maintenance="manual",
)


def test_site_json_comes_back_as_it_was(layout: Layout) -> None:
    tree = Tree("apps", Path("/srv/apps"), Path("/mnt/t"), ("up/", ".env"), ("*.pyc",), ("wsgi.py",), ("cache",))
    site = SiteFile(32 * "a", "example.com", {"apps": tree, "conf": Tree("conf")}, SETTINGS)
    with pytest.raises(NotASite):
        read_site(layout)
    write_site(layout, site)
    assert read_site(layout) == site


# ---------------------------------------------------------------- occupants


def test_a_neighbour_with_a_longer_name_stands_elsewhere(tmp_path: Path) -> None:
    for name in ("v1", "v10", "v1/sub"):
        (tmp_path / name).mkdir()
    process = subprocess.Popen(["sleep", "600"], cwd=tmp_path / "v10")
    try:
        found = occupants.find([tmp_path / "v1", tmp_path / "v10"])
        assert {path.name: who.pid for path, who in found.items()} == {"v10": process.pid}
        assert (found[tmp_path / "v10"].name, found[tmp_path / "v10"].user) == ("sleep", "root") or os.geteuid() != 0
    finally:
        process.kill()
        process.wait()
    assert occupants.find([tmp_path / "v10"]) == {}


def test_an_open_file_is_found_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    file, other = tmp_path / "db", tmp_path / "moved"
    file.touch()
    code = "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        file.rename(other)
        file.touch()
        who = occupants.is_open(other)
        assert who is not None and who.pid == process.pid
        assert occupants.is_open(file) is None
    finally:
        process.kill()
        process.communicate()


def test_who_may_not_look_finds_what_he_may(tmp_path: Path) -> None:
    """Other users' processes are left out, and no error."""
    assert in_child(lambda: occupants.find([Path("/nowhere")]), "nobody" if os.geteuid() == 0 else None) == 0


def proc_of(tmp_path: Path, mountinfo: Path) -> Path:
    """A /proc with one process, that has nothing open; what it has mounted is in this file."""
    process = tmp_path / "proc" / "77"
    for name in ("ns", "fd"):
        (process / name).mkdir(parents=True)
    for link, target in {"ns/mnt": "mnt:[1]", "cwd": "/", "root": "/", "mountinfo": str(mountinfo)}.items():
        (process / link).symlink_to(target)
    return process.parent


def test_what_is_mounted_elsewhere_is_held_whatever_device_the_kernel_tells(tmp_path: Path) -> None:
    for id in ("20261122180102", "20261122180103"):
        (tmp_path / id).mkdir()
    told = tmp_path / "mountinfo"
    told.write_text("80 57 0:42 /site/trees/apps/20261122180102/sub /elsewhere rw - btrfs /dev/sda1 rw\n")
    proc = proc_of(tmp_path, told)
    assert occupants.is_held(tmp_path / "20261122180102", (), proc)
    assert not occupants.is_held(tmp_path / "20261122180103", (), proc)


def test_a_process_that_has_just_ended_holds_nothing(tmp_path: Path) -> None:
    """Nobody has waited for it, and so its directory in /proc is there: what it had mounted cannot be read."""
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        mountinfo = Path(f"/proc/{ended.pid}/mountinfo")
        with pytest.raises(OSError, match="Invalid argument"):
            mountinfo.read_bytes()
        assert not occupants.is_held(tmp_path, (), proc_of(tmp_path, mountinfo))
