"""The main stories on each kind of filesystem that a site may be on."""

from __future__ import annotations

from bench import Bench, inodes


def test_forward_back_and_pruned(bench_on: Bench) -> None:
    bench = bench_on
    bench.version("v1").deploy(keep=2, grace=0.0).shows("v1")
    kept = inodes(bench.slot("media"))
    bench.version("v2", "apps", "conf").deploy()
    assert inodes(bench.slot("media")) == kept
    assert (bench.slot("apps") / "sub/constant").stat().st_nlink > 1
    bench.version("v3").deploy().version("v4").deploy().shows("v4").rollback().shows("v3").rests()
    assert len(bench.ids) == 2


def test_adopted_shared_and_given_back(bench_on: Bench) -> None:
    bench = bench_on
    bench.live("apps", {"f": "v0", "up/photo": "p"}).tree("apps", {"f": "v1"})
    inode, photo = (bench.world / "apps").stat().st_ino, (bench.world / "apps/up/photo").stat().st_ino
    bench.deploy(adopt=True, shared=["apps/up/"]).shows(apps={"f": "v1", "up/photo": "p"})
    bench.rollback().shows(apps={"f": "v0", "up/photo": "p"})
    assert (bench.world / "apps").stat().st_ino == inode
    bench.rests().unadopt().shows(apps={"f": "v0", "up/photo": "p"})
    assert (bench.world / "apps").stat().st_ino != inode
    assert (bench.world / "apps/up/photo").stat().st_ino == photo


def test_strays_and_leases(bench_on: Bench) -> None:
    bench = bench_on
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    (bench.world / "media/stray").touch()
    bench.version("v2").deploy(exits=12).says("media/stray")
    (bench.world / "media/stray").unlink()
    with bench.site.pin():
        bench.deploy().version("v3").deploy()
        assert first in bench.ids
    bench.prune()
    assert first not in bench.ids
    bench.rests()
