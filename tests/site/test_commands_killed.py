"""A deploy that is killed while it builds, while it migrates, or between, leaves a site that the next command works
with, and nothing of it (invariants 1 and 7 of docs/on-disk.md). Its commands die with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import Bench, in_child, wait_for
from builder import Builder
from killing import changes_of, run_until
from treeswap import lease
from treeswap.release import Command

STATIC = Command("cat *.css > {media}/all.css", "apps", ("media",))
POINTS = 20
"""Of the changes of the disk, so many are died at."""


def commands(builder: Builder) -> Builder:
    return builder.commands(build=(STATIC,), migrate=("true", Command("true", exclusive=True)), after_switch=("true",))


@pytest.fixture(params=["build", "migrate", "after_switch"])
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def killed_in(builder: Builder, which: str, **words: object) -> Iterator[int]:
    """A deploy dies while this command runs; the block gets the command's process id, and begins when that is gone."""
    pid_file = builder.bench.root / "pid"
    command = Command(f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 600", **words)  # type: ignore[arg-type]
    before = builder.settings.get(which, ())
    builder.commands(**{which: (*before, command)})
    child = os.fork()
    if child == 0:
        os._exit(os.waitstatus_to_exitcode(in_child(builder.deploy)))
    wait_for(pid_file.exists, "the command began")
    pid = int(pid_file.read_text())
    for deploy in children(child):
        os.kill(deploy, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the command died with its deploy")
    wait_for(lambda: not held(builder.bench), "the guard has gone")
    builder.commands(**{which: before})
    pid_file.unlink()
    yield pid


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def held(bench: Bench) -> bool:
    """Whether anybody still has a lease: a stage that is held is cleared by nobody."""
    leases = bench.site_root / ".treeswap/leases"
    layout = bench.site.layout
    return any(lease.is_held(layout, name) for name in os.listdir(leases))  # type: ignore[arg-type]


def test_a_deploy_that_dies_takes_its_command_along(builder: Builder, which: str) -> None:
    first = commands(builder).says("one").deploy().bench.current
    builder.says("two")
    with killed_in(builder, which):
        bench = builder.bench
        assert (bench.current == first) == (which != "after_switch")
        assert bench.site.status().state == ("rest" if which == "after_switch" else "interrupted")
        builder.says("three").deploy()
    bench.shows(apps={"a.css": "three"}, media={"all.css": "three"}).rests()
    assert sorted(os.listdir(bench.site_root / ".treeswap/logs")) == bench.ids
    if which == "migrate":
        assert "migration failed: echo" in " ".join(entry.what for entry in bench.site.history())


def test_what_died_exclusively_leaves_the_page_up(builder: Builder) -> None:
    commands(builder).says("one").deploy()
    builder.says("two")
    with killed_in(builder, "migrate", exclusive=True):
        bench = builder.bench
        status = bench.site.status().maintenance
        assert status and "sleep 600` (migrate) runs for" in status.why and status.deploy == bench.ids[-1]
        bench.recover().notes("the maintenance page is still up, since", "treeswap maintenance off")
        now = bench.site.status().maintenance
        assert now and f"sleep 600` (migrate) for {status.deploy} was interrupted" in now.why
        assert (now.deploy, now.since) == (status.deploy, status.since)
        builder.deploy()
        bench.notes("the site is in maintenance since", "treeswap maintenance off").shows(media={"all.css": "two"})
    assert (bench.site_root / "maintenance/page.html").exists()
    bench.site.maintenance_off()
    bench.rests()
    assert bench.site.status().maintenance is None


def test_a_first_deploy_that_dies_while_it_builds(builder: Builder) -> None:
    commands(builder).says("one")
    with killed_in(builder, "build"):
        bench = builder.bench
        assert not (bench.world / "apps").exists()
        builder.deploy()
    bench.shows(apps={"a.css": "one"}, media={"all.css": "one"}).rests()


def test_a_deploy_killed_anywhere(builder: Builder, tmp_path: Path) -> None:
    bench, log = builder.bench, tmp_path / "log"
    commands(builder).says("one").deploy()
    builder.says("two")
    saved = tmp_path / "saved"
    subprocess.run(["cp", "-a", bench.root, saved], check=True)
    changes = changes_of(builder.deploy, log)
    renames = [n for n, name in enumerate(changes, 1) if name in ("rename", "sync")]
    every = sorted(
        {*renames[:: max(1, len(renames) // (POINTS // 2))], *range(1, len(changes), len(changes) * 2 // POINTS)}
    )
    for number in every:
        shutil.rmtree(bench.root)
        subprocess.run(["cp", "-a", saved, bench.root], check=True)
        run_until(number, builder.deploy, log)
        wait_for(lambda: not held(bench), "the guard has gone")
        shown = (bench.world / "apps/a.css").read_text()
        assert (bench.world / "media/all.css").read_text() == shown in ("one", "two"), number
        bench.recover()
        builder.deploy()
        bench.site.maintenance_off()
        bench.shows(apps={"a.css": "two"}, media={"all.css": "two"}).rests()
        kept = {name.removesuffix(".failed") for name in os.listdir(bench.site_root / ".treeswap/logs")}
        assert kept <= set(bench.ids), number


@pytest.mark.parametrize("as_release", [False, True])
def test_maintenance_killed_anywhere(builder: Builder, tmp_path: Path, as_release: bool) -> None:
    """The page is whole or not there, and `off` ends whatever was begun."""
    bench, log, saved = builder.bench, tmp_path / "log", tmp_path / "saved"
    first = builder.builds(STATIC).says("one").deploy().bench.current
    subprocess.run(["cp", "-a", bench.root, saved], check=True)

    def on_and_off() -> None:
        bench.site.maintenance_on("soon", as_release=as_release)
        bench.site.maintenance_off()

    changes = changes_of(on_and_off, log)
    for number in range(1, len(changes) + 1, 1 if not as_release else max(1, len(changes) // 30)):
        shutil.rmtree(bench.root)
        subprocess.run(["cp", "-a", saved, bench.root], check=True)
        run_until(number, on_and_off, log)
        page = bench.site_root / "maintenance/page.html"
        assert not page.exists() or page.read_text().endswith("</html>\n"), number
        status = bench.site.status()
        assert status.current == first or status.maintenance is not None, number
        bench.recover()
        bench.site.maintenance_off()
        assert bench.site.status().maintenance is None and bench.current == first, number
        bench.rests()
        assert os.listdir(page.parent) == [] if page.parent.exists() else True, number
