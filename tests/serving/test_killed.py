"""A deploy killed at each of its steps: the next command ends what runs for nothing, and what is current runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from bench import wait_for

from .world import PROGRAM, Served, load

STEPS = ("seal", "prepare", "starting web", "switching", "switched", "confirm", "retire")
BEFORE = STEPS[:3]
"""Of these it is certain that nothing was switched."""
AFTER = STEPS[4:]


def killed_at(served: Served, step: str, command: str = "deploy") -> None:
    """A command begins, and gets SIGKILL as soon as it tells of this step."""
    words = [*PROGRAM, command, "-v"]
    with subprocess.Popen(words, cwd=served.root, env=served.environ, stderr=subprocess.PIPE, text=True) as begun:
        assert begun.stderr is not None
        told = []
        for line in begun.stderr:
            told.append(line)
            if line.startswith(step):
                begun.kill()
                break
    assert begun.returncode == -signal.SIGKILL, "".join(told)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(served: Served, step: str) -> None:
    served.deploy("v1")
    first = served.current
    served.version("v2")
    with load(served, visitors=1) as met:
        killed_at(served, step)
        came = served.current != first
        assert not (came and step in BEFORE) and not (not came and step in AFTER)
        served.run("recover")
    assert met.failures == [] and met.mixed == []
    served.serves("v2" if came else "v1")
    assert served.units() == {f"web 1 of {served.current}"}
    status = served.site.status()
    assert (status.state, status.interrupted) == ("rest", None)
    assert served.site.verify().problems == ()
    if step == "starting web":  # the next one finds nothing in its way
        served.deploy("v3")
        served.serves("v3")


def test_killed_while_it_waits_for_the_new_processes(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    served.version("v2", sick=True)
    words = [*PROGRAM, "deploy"]
    with subprocess.Popen(words, cwd=served.root, env=served.environ, stderr=subprocess.DEVNULL) as deploy:
        wait_for(lambda: len(served.units()) == 2, "it runs")
        deploy.kill()
    assert len(served.units()) == 2
    told = served.run("recover")
    assert "ended web 1 of" in told
    assert served.units() == {f"web 1 of {first}"}
    served.serves("v1")
    assert served.site.status().state == "rest"


def test_what_ended_unasked_runs_again(served: Served) -> None:
    served.deploy("v1")
    everything = {pid for pids in served.pids().values() for pid in pids}
    for pid in filter(None, (served.daemon(), *everything)):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in everything), "they are gone")
    assert served.units() == set()
    status = json.loads(served.run("status", "--json"))["processes"]["web"]
    assert (status["instances"], status["running"]) == (1, 0)
    assert "NOT OK: 0 of 1 running under supervisor" in served.run("status")
    assert f"start web 1 of {served.current}, which does not run" in served.run("recover", "-n")
    assert served.units() == set()
    told = served.run("recover")
    assert f"started web 1 of {served.current}, which did not run" in told
    wait_for(lambda: served.answers(), "it answers again")
    served.serves("v1")


def test_a_signal_while_it_waits_leaves_nothing(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    served.version("v2", sick=True)
    words = [*PROGRAM, "deploy", "-v"]
    with subprocess.Popen(words, cwd=served.root, env=served.environ, stderr=subprocess.PIPE, text=True) as deploy:
        assert deploy.stderr is not None
        next(line for line in deploy.stderr if line.startswith("starting web"))
        wait_for(lambda: len(served.units()) == 2, "it runs")
        deploy.terminate()
        deploy.stderr.read()
    assert deploy.returncode == 128 + signal.SIGTERM
    assert served.units() == {f"web 1 of {first}"}
    assert [str(row.record.id) for row in served.site.releases()] == [first]
    assert served.site.status().state == "rest"
    served.serves("v1")


@pytest.mark.parametrize("step", ["starting web", "switched"])
def test_a_rollback_killed_at(served: Served, step: str) -> None:
    served.deploy("v1")
    served.deploy("v2")
    second = served.current
    with load(served, visitors=1) as met:
        killed_at(served, step, "rollback")
        assert (served.current == second) == (step != "switched")
        served.run("recover")
    assert met.failures == [] and met.mixed == []
    served.serves("v1" if step == "switched" else "v2")
    assert served.units() == {f"web 1 of {served.current}"}
