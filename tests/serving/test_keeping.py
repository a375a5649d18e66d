"""Which processes run when: warm ones, several of one, workers; and what a plan says of it."""

from __future__ import annotations

import json
import subprocess

import pytest

from bench import wait_for

from .world import PROGRAM, PYTHON, Served, Visitor


def test_a_warm_release_is_gone_back_to_without_a_start(served: Served) -> None:
    served.configure(more='keep_warm = "1h"')
    served.deploy("v1")
    first, before = served.current, served.pids()
    told = served.deploy("v2")
    second = served.current
    assert served.units() == {f"web 1 of {first}", f"web 1 of {second}"}
    status = json.loads(served.run("status", "--json"))["processes"]["web"]
    assert (status["running"], status["also_of"]) == (1, [first])
    told = served.run("rollback")
    assert "starting" not in told
    served.serves("v1")
    # The one that was left is bad: nobody goes back to it.
    assert served.pids().keys() == before.keys()
    assert served.pids()[f"web 1 of {first}"] & before[f"web 1 of {first}"]
    served.deploy("v3")
    third = served.current
    served.configure(more='keep_warm = "0s"')
    served.deploy("v4")
    assert served.units() == {f"web 1 of {served.current}"}, third


def test_instances_have_sockets_of_their_own(served: Served) -> None:
    served.configure(of_web="instances = 2")
    served.deploy("v1")
    served.deploy("v2")
    sockets = sorted(path.name for path in (served.site_root / "current/run").glob("*.sock"))
    assert sockets == ["web.2.sock", "web.sock"]
    assert served.units() == {f"web {number} of {served.current}" for number in (1, 2)}
    assert {Visitor(served.site_root / "current/run" / name).get() for name in sockets} == {"v2 v2 v2 "}


WORKER = f"""
[processes.queue]
command = "{PYTHON} worker.py {{}}/queue {{}}"
tree = "apps"
stop = "{{}}"
"""


@pytest.mark.parametrize("stop", ["first", "last"])
def test_workers_start_after_the_switch_and_the_old_ones_end_first_or_last(served: Served, stop: str) -> None:
    served.configure(rest=WORKER.format(served.root, 0, stop))
    served.deploy("v1")
    first = served.current
    served.configure(deploy_timeout=2)
    served.deploy("v2", exits=12, sick=True)
    served.deploy("v3")
    served.serves("v3")
    second = served.current
    happened = (served.root / "queue").read_text().splitlines()
    between = [f"{first} ended", f"{second} began"]
    assert happened == [f"{first} began", *(between if stop == "first" else between[::-1])]
    assert served.units() == {f"web 1 of {second}", f"queue 1 of {second}"}


def test_a_worker_that_is_not_healthy_is_told_and_the_release_stays(served: Served) -> None:
    served.configure(rest=WORKER.format(served.root, 0, "last"))
    served.deploy("v1")
    sick = 'health = "sh -c false"\ndeploy_timeout = 1'
    served.configure(rest=WORKER.format(served.root, 0, "last") + sick)
    told = served.deploy("v2", exits=17)
    assert "is current, but not all of its processes run: queue 1 of" in told and "was not healthy within 1 s" in told
    served.serves("v2")
    assert served.units() == {f"web 1 of {served.current}", f"queue 1 of {served.current}"}


def test_nobody_waits_for_an_old_worker_but_who_starts_it_again(served: Served) -> None:
    served.configure(rest=WORKER.format(served.root, 6, "last"))
    served.deploy("v1")
    first = served.current
    served.version("v2")
    words = [*PROGRAM, "deploy", "-v"]
    with subprocess.Popen(words, cwd=served.root, env=served.environ, stderr=subprocess.PIPE, text=True) as deploy:
        assert deploy.stderr is not None
        next(line for line in deploy.stderr if line.startswith("ending queue"))
        second = served.current
        with subprocess.Popen([*PROGRAM, "rollback"], cwd=served.root, env=served.environ) as back:
            wait_for(lambda: served.current == first, "it is gone back to")
            assert f"{first} ended" not in (served.root / "queue").read_text()
        deploy.stderr.read()
    assert (deploy.returncode, back.returncode) == (0, 0)
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}", f"queue 1 of {first}"}
    happened = [line for line in (served.root / "queue").read_text().splitlines() if line.startswith(first)]
    assert happened == [f"{first} began", f"{first} ended", f"{first} began"]
    assert second not in {unit.split()[-1] for unit in served.units()}


def test_a_plan_names_what_starts_and_what_ends_and_starts_nothing(served: Served) -> None:
    served.configure(rest=WORKER.format(served.root, 0, "last"))
    served.deploy("v1")
    before, units = served.current, served.units()
    served.version("v2")
    told = served.run("deploy", "-n")
    for step in (
        "start web of it, and wait until healthy (/up)",
        f"ask through {served.site_root}/current/run which release is served",
        "start queue of it",
        f"end web of {before}, once nobody waits for it",
        f"end queue of {before}",
    ):
        assert step in told
    assert (served.current, served.units()) == (before, units)
