"""Who reads a release keeps it; who stands in a version does too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import Bench, as_nobody, wait_for
from treeswap import stage
from treeswap.errors import NoSuchRelease, Unsettled
from treeswap.site import pinning


@contextmanager
def running(*command: str, cwd: Path | None = None, fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=cwd, pass_fds=fds)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def sweep_through(bench: Bench, *texts: str) -> None:
    """Deploys these, and prunes all that can go."""
    for text in texts:
        bench.version(text).deploy(keep=1, grace=0.0)
    bench.prune()


def test_a_pin_holds_one_release_for_the_whole_block(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    with bench.site.pin() as release:
        sweep_through(bench, "v2", "v3", "v4")
        assert release.id == first and first in bench.ids
        assert (release["apps"] / "f").read_text() == "v1"
        assert release["conf"] == bench.slot("conf", first)
        assert {row.record.id: row.kept_because for row in bench.site.releases()}[first] == "leased"
    bench.prune()
    assert first not in bench.ids and first not in bench.versions("apps")
    bench.rests()


def test_a_pin_of_a_named_release(bench: Bench) -> None:
    first = bench.version("v1").deploy(label="old").current
    bench.version("v2").deploy()
    with bench.site.pin("old") as release:
        assert release.id == first
    with pytest.raises(NoSuchRelease), bench.site.pin("nope"):
        pass


def test_children_inherit_it_and_the_last_one_ends_it(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    lease = bench.site.lease()
    lease.inherit()
    with running("sleep", "600", fds=(lease.fd,)) as one, running("sleep", "600", fds=(lease.fd,)) as two:
        lease.close()
        sweep_through(bench, "v2", "v3", "v4")
        assert first in bench.ids
        one.send_signal(signal.SIGKILL)
        one.wait()
        bench.prune()
        assert first in bench.ids, "the other one still has it"
        bench.prune(first, exits=2).says("leased")
        two.send_signal(signal.SIGKILL)
        two.wait()
    bench.prune()
    assert first not in bench.ids
    bench.rests()


def test_a_grandchild_inherits_it(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    lease = bench.site.lease()
    lease.inherit()
    code = "import os, sys, time; os.fork() and os._exit(0); "
    code += "print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(600)"
    with running(sys.executable, "-c", code, str(bench.root / "pid"), fds=(lease.fd,)) as parent:
        lease.close()
        parent.wait(timeout=20)
    wait_for(lambda: (bench.root / "pid").exists() and (bench.root / "pid").read_text(), "the grandchild to run")
    grandchild = int((bench.root / "pid").read_text())
    try:
        sweep_through(bench, "v2", "v3")
        assert first in bench.ids
    finally:
        os.kill(grandchild, signal.SIGKILL)

    def gone() -> bool:
        bench.prune()
        return first not in bench.ids

    wait_for(gone, "the release to go with the last process that had it")


def test_who_may_only_read_can_pin(bench: Bench) -> None:
    bench.version("v1").deploy()

    def read() -> None:
        with bench.site.pin() as release:
            assert (release["apps"] / "f").read_text() == "v1"

    as_nobody(read)


def test_readers_that_pin_never_lose_their_release(bench: Bench) -> None:
    """Without any grace and with one release kept: only the lease stands between them and the prune."""
    bench.version("v0").deploy(keep=1, grace=0.0)
    stop = bench.root / "stop"
    pids = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                pinned = 0
                while not stop.exists() or not pinned:
                    with bench.site.pin() as release:
                        texts = {(release[name] / "sub/g").read_text() for name in release.dirs for _ in range(5)}
                        assert len(texts) == 1, texts
                    pinned += 1
                    if pinned == 1:
                        (bench.root / f"pinned{number}").touch()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    try:
        wait_for(lambda: all((bench.root / f"pinned{n}").exists() for n in range(2)), "readers that pin")
        for number in range(1, 15):
            bench.version(f"v{number}").deploy()
    finally:
        stop.touch()
        statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    assert statuses == [0, 0]
    bench.prune()
    assert len(bench.ids) == 2
    bench.rests()


def test_a_lease_is_never_created_by_a_reader(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.version("v1").deploy().current
    lease_file = bench.site_root / ".treeswap/leases" / first
    lease_file.unlink()
    monkeypatch.setattr(pinning, "_PATIENCE", 0.05)
    with pytest.raises(Unsettled):
        bench.site.lease()
    assert not lease_file.exists()


def test_a_pin_waits_for_an_adoption_to_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.version("v1").deploy()
    (bench.site_root / ".treeswap/moving").touch()
    monkeypatch.setattr(pinning, "_PATIENCE", 0.05)
    with pytest.raises(Unsettled, match="adopted"):
        bench.site.lease()
    bench.recover()
    with bench.site.pin() as release:
        assert release.id == bench.current


@pytest.mark.parametrize("how", ["cwd", "exe", "open", "maps", "subdirectory", "release"])
def test_what_a_process_stands_in_is_left_and_said_whose(bench: Bench, how: str) -> None:
    bench.version("v1")
    shutil.copy("/bin/sleep", bench.work / "apps/sleep")
    first = bench.deploy(keep=1, grace=0.0).current
    slot = bench.slot("apps")
    command, cwd = ["sleep", "600"], None
    holding = "import mmap, os, sys, time; f = open(sys.argv[1], 'rb'); {}; print(flush=True); time.sleep(600)"
    match how:
        case "cwd":
            cwd = slot
        case "subdirectory":
            cwd = slot / "sub"
        case "release":
            cwd = bench.site_root / "releases" / first
        case "exe":
            command = [str(slot / "sleep"), "600"]
        case "open":
            command = [sys.executable, "-c", holding.format("pass"), str(slot / "f")]
        case "maps":
            mapped = "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); f.close()"
            command = [sys.executable, "-c", holding.format(mapped), str(slot / "f")]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE)
    try:
        if how in ("open", "maps"):
            assert process.stdout is not None and process.stdout.readline() == b"\n"
        sweep_through(bench, "v2", "v3")
        assert first in bench.ids and (slot / "f").read_text() == "v1"
        reason = {row.record.id: row.kept_because for row in bench.site.releases()}[first]
        assert reason is not None and f"process {process.pid} (" in reason and "root" in reason
        bench.prune(first, exits=2).says(f"process {process.pid}")
    finally:
        process.kill()
        process.wait()
    bench.prune()
    assert first not in bench.ids and not slot.exists()


def test_standing_in_a_kept_version_keeps_only_the_newest_release_that_names_it(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    second = bench.tree("apps", {"f": "v2"}).deploy("apps").current
    with running("sleep", "600", cwd=bench.slot("media")):
        sweep_through(bench, "v3", "v4")
        assert second in bench.ids and first not in bench.ids
        assert bench.slot("media", second).name == first


def test_grace_protects_what_was_just_left_whatever_is_kept(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=60.0).current
    second = bench.version("v2").deploy().current
    third = bench.version("v3").deploy().current
    assert bench.ids == [first, second, third]
    bench.clock.forward(seconds=61)
    bench.prune()
    assert bench.ids == [second, third], "what a rollback would go to stays"


def test_no_grace_overrides(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1).current
    bench.version("v2").deploy().version("v3").deploy()
    bench.prune(grace=0.0)
    assert first not in bench.ids and len(bench.ids) == 2


def test_a_named_release_within_its_grace_is_refused_and_goes_without(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").deploy().version("v3").deploy()
    bench.prune(first, exits=2).says("grace 60 s")
    bench.prune(first, grace=0.0)
    assert first not in bench.ids


def test_current_and_what_a_rollback_needs_are_never_pruned(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    second = bench.version("v2").deploy().current
    bench.prune(second, grace=0.0, exits=2).says("current")
    bench.prune(first, grace=0.0, exits=2).says("rollback")
    assert bench.ids == [first, second]


def test_bad_releases_do_not_take_the_place_of_good_ones(bench: Bench) -> None:
    good = [bench.version(f"g{number}").deploy(keep=2, grace=0.0).current for number in range(2)]
    for number in range(3):
        bench.version(f"bad{number}").deploy().rollback()
    bench.version("g2").deploy()
    assert bench.ids == [good[1], bench.current]
    bench.rests()


def test_the_plan_of_a_prune_is_what_it_then_does(bench: Bench) -> None:
    for number in range(4):
        bench.version(f"v{number}").deploy()
    planned = bench.site.plan_prune(keep=2, grace=0.0)
    assert len(bench.ids) == 4
    bench.prune(keep=2, grace=0.0)
    assert bench.pruned is not None
    assert bench.pruned.removed == planned.removed and len(planned.removed) == 2
    assert bench.pruned.decisions == planned.decisions


def test_versions_go_with_the_last_release_that_names_them(bench: Bench) -> None:
    first = bench.version("v1").deploy(keep=1, grace=0.0).current
    for number in range(3):
        bench.tree("apps", {"f": f"v{number}"}).deploy("apps")
    bench.prune()
    assert bench.versions("media") == [first] and len(bench.versions("apps")) == 2
    assert sorted(os.listdir(bench.site_root / ".treeswap/manifests/media")) == [first]
    bench.rests()


def test_a_prune_that_fails_is_a_warning_of_the_deploy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("v1", "v2"):
        bench.version(text).deploy(keep=1, grace=0.0)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "no", str(path))

    monkeypatch.setattr(stage, "remove", refuse)
    bench.version("v3").deploy().shows("v3").notes("could not be removed")
    monkeypatch.undo()
    bench.deploy().rests()
