"""One writer at a time; who has a lock is named; a rollback never waits for a deploy that is staging."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import Bench, as_nobody, snapshot, wait_for
from treeswap.errors import Held, Locked, Overtaken
from treeswap.outcomes import Event


@contextmanager
def stopped_at(bench: Bench, step: str) -> Iterator[int]:
    """A process that deploys what is in `work`, and waits at this step until the block ends; its pid."""
    there, go_on = bench.root / "there", bench.root / "go-on"
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            site = bench.site

            def listen(event: Event) -> None:
                if event.step == step and not there.exists():
                    there.touch()
                    wait_for(go_on.exists, "the word to go on", 60)

            site.listener = listen
            bench.outcome = site.deploy(bench.request())
            code = 0
        except Overtaken:
            code = 12
        finally:
            os._exit(code)
    ended: list[int] = []

    def end() -> None:
        if not ended:
            go_on.touch()
            ended.append(os.waitpid(pid, 0)[1])

    try:
        wait_for(there.exists, f"the deploy to arrive at {step}")
        yield pid
        end()
        (bench.root / "status").write_text(str(os.waitstatus_to_exitcode(ended[0])))
    finally:
        end()
        there.unlink(missing_ok=True)
        go_on.unlink(missing_ok=True)


def exit_code(bench: Bench) -> int:
    return int((bench.root / "status").read_text())


def test_who_has_the_lock_is_named_with_since_when_and_doing_what(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "stage") as pid:
        bench.deploy(exits=11).says(f"process {pid}", "root@", "deploy", "since 20", "UTC", "--lock-wait")
        assert isinstance(bench.error, Locked)
        status = bench.site.status()
        assert status.state == "changing" and status.lock is not None
        assert (status.lock.pid, status.lock.doing) == (pid, "deploy")
        for refused in (bench.prune, bench.unadopt, bench.recover):
            assert isinstance(refused(exits=11).error, Locked)
        bench.shows("v1")
    assert exit_code(bench) == 0
    bench.shows("v2").rests()


def test_waiting_for_the_lock(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "stage"):
        bench.lock_wait = 30.0
        threading.Timer(0.3, (bench.root / "go-on").touch).start()
        bench.version("v2").deploy()
    assert exit_code(bench) == 0
    bench.shows("v2").rests()


def test_a_rollback_does_not_wait_and_the_deploy_then_stops(bench: Bench) -> None:
    v1 = bench.version("v1").deploy().current
    v2 = bench.version("v2").deploy().current
    bench.version("v3")
    with stopped_at(bench, "seal"):
        bench.rollback().shows("v1")
    assert exit_code(bench) == 12
    bench.shows("v1")
    assert bench.ids == [v1, v2]
    bench.rests()


def test_a_switch_does_not_wait_either(bench: Bench) -> None:
    v1 = bench.version("v1").deploy().current
    bench.version("v2").deploy().version("v3")
    with stopped_at(bench, "stage"):
        bench.switch(v1).shows("v1")
    assert exit_code(bench) == 12
    bench.shows("v1").rests()


def test_a_stage_is_not_swept_by_a_rollback(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").deploy().version("v3")
    with stopped_at(bench, "seal"):
        staged = set(bench.versions("apps")) - set(bench.ids)
        bench.rollback()
        assert staged and staged <= set(bench.versions("apps"))


def test_a_lock_ends_with_its_process(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "seal") as pid:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: bench.site.status().lock is None, "the kernel to let the lock go")
        assert bench.site.status().state == "interrupted"
        bench.deploy().shows("v2").rests()


def test_what_a_dead_deploy_left_stays_while_its_child_has_it(bench: Bench) -> None:
    """Commands of a deploy inherit its stage's lease, and a held stage is never cleared."""
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "seal") as pid:
        staged = (set(bench.versions("apps")) - set(bench.ids)).pop()
        lease = os.open(bench.site_root / ".treeswap/leases" / staged, os.O_RDONLY)
        fcntl.flock(lease, fcntl.LOCK_SH)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: bench.site.status().lock is None, "the kernel to let the lock go")
        bench.recover()
        assert staged in bench.versions("apps")
        os.close(lease)
        bench.recover()
        assert staged not in bench.versions("apps")


def test_two_first_deploys_at_once(bench: Bench) -> None:
    bench.version("v1")
    with stopped_at(bench, "seal"):
        bench.deploy(exits=11)
    assert exit_code(bench) == 0
    bench.shows("v1").rests()


def test_a_failed_first_deploy_does_not_take_anothers_site_away(bench: Bench) -> None:
    bench.version("v1")
    with stopped_at(bench, "check"):
        os.mkfifo(bench.work / "apps/fifo")
        bench.deploy(exits=12)
        (bench.work / "apps/fifo").unlink()
    assert exit_code(bench) == 0
    bench.shows("v1").rests()


def test_a_site_that_was_there_a_moment_ago_is_made_again(bench: Bench) -> None:
    """As where another first deploy has just failed, and taken away what it had made."""
    bench.version("v1").deploy()
    site, request = bench.site, bench.request()
    shutil.rmtree(bench.site_root)
    for path in bench.paths.values():
        path.unlink()
    site.deploy(request)
    bench.shows("v1").rests()


@pytest.mark.parametrize("verb", ["deploy", "stage", "rollback", "switch", "prune", "unadopt", "recover"])
def test_a_hold_refuses_every_change_until_it_ends(bench: Bench, verb: str) -> None:
    v1 = bench.version("v1").deploy().current
    bench.version("v2").deploy().version("v3")
    verbs: dict[str, Callable[[], Bench]] = {
        "deploy": lambda: bench.deploy(exits=11),
        "stage": lambda: bench.stage(exits=11),
        "rollback": lambda: bench.rollback(exits=11),
        "switch": lambda: bench.switch(v1, exits=11),
        "prune": lambda: bench.prune(exits=11),
        "unadopt": lambda: bench.unadopt(exits=11),
        "recover": lambda: bench.recover(exits=11),
    }
    bench.site.hold("the audit is on")
    before = snapshot(bench.root, but=("site/.treeswap/*.lock",))
    verbs[verb]().says("the audit is on", "treeswap unlock", "root@")
    assert isinstance(bench.error, Held)
    assert snapshot(bench.root, but=("site/.treeswap/*.lock",)) == before
    mark = bench.site.status().hold
    assert mark is not None and mark.why == "the audit is on"
    assert bench.site.release_hold() and not bench.site.release_hold()
    bench.deploy().shows("v3")


def test_a_hold_that_comes_while_a_deploy_stages_stops_its_switch(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "seal"):
        bench.site.hold("stop everything")
    assert exit_code(bench) == 99
    bench.shows("v1").site.release_hold()
    assert len(bench.ids) == 1
    bench.rests()


def test_looking_needs_no_lock_and_no_permission(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    with stopped_at(bench, "seal") as pid:

        def look() -> None:
            status = bench.site.status()
            assert status.state == "changing" and status.lock is not None and status.lock.pid == pid
            assert len(bench.site.releases()) == 1 and len(bench.site.history()) == 1
            bench.site.check()

        as_nobody(look)


def test_who_may_not_write_is_refused_in_one_sentence(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2").deploy()
    before = snapshot(bench.root)

    def change() -> None:
        for verb in (bench.rollback, bench.prune, bench.recover, bench.unadopt):
            verb(exits=12).says("cannot be changed", "user who owns the site")

    as_nobody(change)
    assert snapshot(bench.root) == before


def test_the_same_file_is_the_lock_for_ever(bench: Bench) -> None:
    bench.version("v1").deploy()
    inode = (bench.site_root / ".treeswap/deploy.lock").stat().st_ino
    for text in ("v2", "v3"):
        bench.version(text).deploy()
    bench.unadopt()
    assert Path(bench.site_root / ".treeswap/deploy.lock").stat().st_ino == inode


def test_damage_is_told_on_a_site_on_hold_too(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.site.hold("the audit is on")
    (bench.slot("apps") / "f").unlink()
    assert [(problem.tree, problem.kind, problem.path) for problem in bench.site.verify().problems] == [
        ("apps", "missing", "f")
    ]
    assert bench.site.release_hold()
