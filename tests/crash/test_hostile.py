"""Hostile trees: whatever they hold, and whoever changes them meanwhile, nothing outside is read or touched."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import Bench, as_nobody, in_child, snapshot
from placing.zoo import build
from treeswap import places
from treeswap.cli.program import run as run_program
from treeswap.envelope import seal
from treeswap.errors import SourceRefused, TreeswapError

from .fuzz import PATHS, manifest_of
from .hostile import NAMES, SECRET, racing

Way = Callable[[Bench], None]
By = Callable[[Way], None]
WAYS = ("root", "nobody") if os.geteuid() == 0 else ("nobody",)


@pytest.fixture
def outside(bench: Bench) -> Path:
    directory = bench.root / "outside"
    (directory / "g").mkdir(parents=True)
    for name in ("secret", "f", "g/deep"):
        (directory / name).write_bytes(SECRET)
    return directory


@pytest.fixture(params=WAYS)
def by(request: pytest.FixtureRequest, bench: Bench) -> By:
    """Does something with the bench, as root or as an ordinary user to whom all of it belongs."""

    def do(way: Way) -> None:
        if request.param == "root":
            assert in_child(lambda: way(bench)) == 0, "the child failed; see its output"
            return
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            subprocess.run(["chown", "-Rh", f"{nobody.pw_uid}:{nobody.pw_gid}", str(bench.root)], check=True)
        as_nobody(lambda: way(bench))

    return do


def keeps_its_secrets(bench: Bench) -> None:
    found = subprocess.run(
        ["grep", "-rlF", "-e", SECRET.decode(), str(bench.site_root)], capture_output=True, text=True
    )
    assert found.stdout == "", "a secret from outside was published"


# ---------------------------------------------------------------- a race for the source


def small(bench: Bench, text: str) -> Bench:
    return bench.tree("apps", {"f": text, "g/deep": text, "g/h/i": text, "z": "z"})


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
def test_a_link_swapped_in_while_staging_leads_nowhere(bench: Bench, outside: Path, by: By, later: bool) -> None:
    def race(bench: Bench) -> None:
        before, nth, replaced = snapshot(outside), 0, set()
        while True:
            nth += 1
            subprocess.run(["rm", "-rf", bench.site_root, bench.world / "apps", bench.work / "aside"], check=True)
            small(bench, "v1")
            if later:
                bench.deploy()
                small(bench, "v2")
            with racing(bench.work / "apps", outside, nth) as racer:
                try:
                    bench.site.deploy(bench.request())
                except TreeswapError as error:
                    assert error.exit_code == 12, error
            if racer.opened < nth:
                break
            replaced.add(racer.replaced)
            assert snapshot(outside) == before, f"at opening {nth}"
            keeps_its_secrets(bench)
            if os.path.lexists(bench.world / "apps"):
                assert (bench.world / "apps/f").read_text() in ("v1", "v2")
            subprocess.run(["rm", "-rf", bench.work / "aside"], check=True)
            small(bench, "v3").deploy().shows(apps={"f": "v3", "g/deep": "v3", "g/h/i": "v3", "z": "z"}).rests()
        assert len(replaced) > 5, "there was no race"

    by(race)


def test_a_link_swapped_in_while_removing_leads_nowhere(bench: Bench, outside: Path, by: By) -> None:
    def race(bench: Bench) -> None:
        before, nth, replaced = snapshot(outside), 0, 0
        while True:
            nth += 1
            subprocess.run(["rm", "-rf", bench.site_root, bench.world / "apps"], check=True)
            small(bench, "v1").deploy()
            old = bench.slot("apps")
            small(bench, "v2").deploy(keep=1, grace=0.0)
            small(bench, "v3").stage()
            first = next(id for id in bench.ids if bench.slot("apps", id) == old)
            with racing(old, outside, nth) as racer:
                bench.site.verify()
                bench.site.switch(bench.ids[-1])
                bench.site.prune([first])
            subprocess.run(["rm", "-rf", old.with_name("aside")], check=True)
            if racer.opened < nth:
                break
            replaced += racer.replaced is not None
            assert snapshot(outside) == before, f"at opening {nth}"
            bench.recover().shows(apps={"f": "v3", "g/deep": "v3", "g/h/i": "v3", "z": "z"})
        assert replaced > 3, "there was no race"

    by(race)


# ---------------------------------------------------------------- names and kinds


def of_names(root: Path) -> None:
    for name in NAMES:
        path = os.path.join(os.fsencode(root), name)
        Path(os.fsdecode(path)).write_bytes(name)
        below = os.path.join(os.fsencode(root), b"below", name)
        os.makedirs(below)
        Path(os.fsdecode(os.path.join(below, name))).write_bytes(b"below")


def _clear(directory: Path) -> None:
    """Whatever modes and depths are in it."""
    subprocess.run(["chmod", "-R", "u+rwx", str(directory)], check=True)
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def listing(root: Path) -> list[tuple[str, bytes]]:
    found = []
    for here, directories, files, fd in os.fwalk(root.resolve()):
        del directories
        for name in files:
            link = os.path.islink(f"/proc/self/fd/{fd}/{name}")
            data = os.fsencode(os.readlink(name, dir_fd=fd)) if link else _read(name, fd)
            found.append((os.path.relpath(here, root.resolve()) + "/" + name, data))
    return sorted(found)


def _read(name: str, fd: int) -> bytes:
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=fd), "rb") as file:
        return file.read()


@pytest.mark.parametrize("what", ["names", "zoo"])
def test_whatever_may_be_in_a_tree_goes_through_all_commands(bench: Bench, by: By, what: str) -> None:
    def story(bench: Bench) -> None:
        small(bench, "v1").deploy()
        source = bench.work / "apps"
        _clear(source)
        source.mkdir()
        if what == "names":
            of_names(source)
        else:
            build(source, as_root=os.geteuid() == 0)
        bench.deploy().recover()
        assert listing(bench.world / "apps") == listing(source)
        second = bench.current
        assert bench.site.verify().problems == () and bench.site.diff().trees["apps"].added
        bench.deploy()
        assert bench.current == second, "nothing changed"
        (source / "one more").write_text("v3")
        bench.deploy()
        assert bench.site.diff().trees["apps"].added == ("one more",)
        bench.rollback()
        assert bench.current == second and bench.site.verify().problems == ()
        _clear(source)
        small(bench, "v4").deploy()
        small(bench, "v5").deploy(keep=1, grace=0.0)
        bench.prune().recover().rests()
        assert not (bench.site_root / "trees/apps" / second).exists()

    by(story)


def test_a_live_tree_of_hostile_names_is_adopted_and_given_back(bench: Bench, by: By) -> None:
    def story(bench: Bench) -> None:
        live = bench.world / "apps"
        live.mkdir()
        of_names(live)
        was = listing(live)
        bench.adopt("apps").recover()
        assert live.is_symlink() and listing(live) == was
        bench.unadopt()
        assert not live.is_symlink() and listing(live) == was

    by(story)


def test_content_that_looks_like_a_site_is_none(bench: Bench) -> None:
    """Not for who stands in it, either."""
    other = bench.root / "other"
    small(bench, "v1").deploy()
    (other / ".treeswap").mkdir(parents=True)
    site_json = (bench.site_root / ".treeswap/site.json").read_text()
    (other / ".treeswap/site.json").write_text(site_json)
    bench.tree(
        "apps", {".treeswap/site.json": site_json, "sub/.treeswap-site": f"x\n{other}\n", "treeswap.toml": "[", "f": ""}
    )
    bench.deploy()
    for inside in ("", "sub", ".treeswap"):
        for way in (bench.world / "apps" / inside, bench.slot("apps") / inside):
            assert places.site_of(way) == bench.site_root, way
            assert in_child(lambda way=way: _status_from(way)) == 0  # type: ignore[misc]
    assert places.site_of(other) == other, "what is no content is one"


def _status_from(directory: Path) -> None:
    os.chdir(directory)
    assert run_program(["status", "--json"]) == 0


def test_what_cannot_be_released_is_named(bench: Bench, by: By) -> None:
    def story(bench: Bench) -> None:
        small(bench, "v1").deploy()
        here = bench.work / "apps/odd"
        listener = socket.socket(socket.AF_UNIX)
        makers: list[Callable[[], object]] = [lambda: os.mkfifo(here), lambda: listener.bind(os.fspath(here))]
        if os.geteuid() == 0:
            makers.append(lambda: os.mknod(here, 0o020666, os.makedev(1, 5)))
        else:
            makers += [lambda: here.touch(0), lambda: here.mkdir(0)]
        for make in makers:
            make()
            with pytest.raises(SourceRefused) as told:
                bench.site.deploy(bench.request())
            assert "odd" in f"{told.value.message}{told.value.cause}"
            here.rmdir() if here.is_dir() else here.unlink()
        listener.close()
        bench.shows(apps={"f": "v1", "g/deep": "v1", "g/h/i": "v1", "z": "z"}).rests()

    by(story)


def test_links_out_of_a_tree_are_kept_as_links(bench: Bench, outside: Path, by: By) -> None:
    def story(bench: Bench) -> None:
        before = snapshot(outside)
        small(bench, "v1")
        for name, target in {"file": outside / "secret", "directory": outside, "up": Path("../../..")}.items():
            (bench.work / "apps" / name).symlink_to(target)
        bench.deploy().version("v2").deploy("apps", keep=1, grace=0.0, force=True).prune(keep=1, grace=0.0).recover()
        keeps_its_secrets(bench)
        assert snapshot(outside) == before

    by(story)


# ---------------------------------------------------------------- manifests that lead out


@pytest.mark.parametrize("path", [*PATHS, b"f", b"a/b"], ids=repr)
def test_no_command_follows_a_manifest_out_of_its_tree(bench: Bench, outside: Path, path: bytes) -> None:
    """Its checksum and the record's fit: whoever wrote it knew how. The last two are twice there, and nowhere."""
    small(bench, "v1").deploy(grace=0.0)
    small(bench, "v2").deploy()
    first, second = bench.ids
    for id in (first, second):
        _lead_out(bench, id, path)
    before = snapshot(outside)
    commands = ["verify", "diff", "check", "releases", "status", "rollback", f"switch {second}", "recover"]
    for words in (*commands, f"rollback {first}", "prune --keep 1 --grace 0", "unadopt", f"prune {first}"):
        code = run_program([*words.split(), "--site", str(bench.site_root)])
        assert code in (0, 2, 12, 16), words
        if words in ("verify", "diff"):
            assert code == {"verify": 16, "diff": 12}[words]
        assert snapshot(outside) == before, words
    if (bench.world / "apps").is_symlink():
        small(bench, "v3").deploy(exits=12).deploy(force=True, leave_strays=True).shows(
            apps={"f": "v3", "g/deep": "v3", "g/h/i": "v3", "z": "z"}
        )
    keeps_its_secrets(bench)
    assert snapshot(outside) == before


def _lead_out(bench: Bench, id: str, path: bytes) -> None:
    file = bench.site_root / ".treeswap/manifests/apps" / id
    record = bench.site_root / f".treeswap/records/{id}.json"
    head, *lines = file.read_bytes().split(b"\n")[:-2]
    model = next(line for line in lines if line.endswith(b"\tf"))
    data = manifest_of(head, [*lines, model[:-1] + path])
    file.write_bytes(data)
    value = json.loads(record.read_bytes())
    del value["crc"]
    value["versions"][0]["manifest"] = hashlib.sha256(data).hexdigest()
    record.write_bytes(seal(value))
