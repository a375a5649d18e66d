"""Adoption where the filesystem says no: without exchange (FUSE), and a lower directory of an overlay."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import Bench, snapshot
from filesystems import CannotMount, unmount, without


@contextmanager
def mounted(place: Path, *command: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    if os.geteuid() != 0 or shutil.which(command[0]) is None:
        without(CannotMount(f"{command[0]} by root is needed"))
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        unmount(place)


def test_fuse_without_exchange(bench: Bench) -> None:
    """bindfs refuses every flag of renameat2, as NFS does."""
    below, fuse = bench.root / "below", bench.root / "fuse"
    below.mkdir()
    with mounted(fuse, "bindfs", str(below), str(fuse)):
        slow = Bench(fuse)
        slow.live("apps", {"f": "v0", "up/photo": "p"}).tree("apps", {"f": "v1"})
        before = snapshot(below, but=("",))
        slow.deploy(adopt=True, exits=12).says("cannot exchange", "--allow-gap")
        assert snapshot(below, but=("",)) == before
        slow.deploy(adopt=True, allow_gap=True, shared=["apps/up/"]).notes("was missing for")
        slow.shows(apps={"f": "v1", "up/photo": "p"})
        slow.rollback().shows(apps={"f": "v0", "up/photo": "p"}).rests()


def _overlay(bench: Bench) -> tuple[Path, tuple[str, ...]]:
    for name in ("lower", "upper", "workdir"):
        (bench.root / name).mkdir(exist_ok=True)
    place = bench.root / "overlay"
    options = ",".join(
        f"{key}={bench.root / name}"
        for key, name in (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "workdir"))
    )
    return place, ("mount", "-t", "overlay", "overlay", "-o", options, str(place))


def test_a_lower_directory_of_an_overlay_is_refused(bench: Bench) -> None:
    place, mount = _overlay(bench)
    lower = bench.root / "lower/world/apps"
    lower.mkdir(parents=True)
    (lower / "f").write_text("v0")
    (bench.root / "lower/work").mkdir()
    with mounted(place, *mount):
        layered = Bench(place)
        layered.tree("apps", {"f": "v1"})
        names = sorted(path for path in place.rglob("*"))
        layered.deploy(adopt=True, exits=12).says("cannot be moved", "world/apps", "--allow-gap", "current/NAME")
        assert sorted(path for path in place.rglob("*")) == names
        layered.shows(apps={"f": "v0"})


def test_an_upper_directory_of_an_overlay_is_adopted(bench: Bench) -> None:
    place, mount = _overlay(bench)
    with mounted(place, *mount):
        layered = Bench(place)
        layered.live("apps", {"f": "v0"}).tree("apps", {"f": "v1"}).deploy(adopt=True).shows("v1")
        layered.rollback().shows("v0").rests()
