"""A deploy with processes: requests, code and files change at one instant, or nothing does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import wait_for

from .world import PROGRAM, Served, load


def test_no_request_fails_while_releases_come_and_go(served: Served) -> None:
    served.deploy("v1")
    with load(served) as met:
        served.deploy("v2")
        served.deploy("v3")
        served.run("rollback")
        served.run("rollback")
    served.serves("v1")
    assert met.failures == []
    assert met.mixed == []
    assert {answer.split()[0] for answer in met.answers} == {"v1", "v2", "v3"}
    assert served.units() == {f"web 1 of {served.current}"}


def test_requests_that_are_being_answered_are_answered(served: Served) -> None:
    served.deploy("v1")
    with load(served, visitors=6, path="/slow") as met:
        served.deploy("v2")
    assert met.failures == []
    assert {answer.split()[0] for answer in met.answers} == {"v1", "v2"}


def test_what_never_becomes_healthy_is_not_switched_to(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    served.configure(deploy_timeout=2)
    told = served.deploy("v2", exits=12, sick=True)
    assert "was not healthy within 2 s: /up is answered with 503" in told
    assert "Starting gunicorn" in told  # what it said
    assert f"current: {first}" in told
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}"}
    assert [row.record.id for row in served.site.releases()] == [first]
    assert served.site.status().state == "rest"
    served.deploy("v3")
    served.serves("v3")


def test_what_answers_as_another_release_is_switched_back(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    told = served.deploy("v2", exits=13, liar=True)
    assert "is answered by 20200101000000" in told and f"{first} is current again" in told
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}"}
    states = {str(row.record.id): row.state for row in served.site.releases()}
    assert sorted(states.values()) == ["bad", "current"] and states[first] == "current"
    served.deploy("v3")
    served.serves("v3")


def test_a_first_deploy_that_fails_leaves_nothing_at_all(served: Served) -> None:
    served.configure(deploy_timeout=2)
    served.version("v1", sick=True)
    with subprocess.Popen(
        [*PROGRAM, "deploy", "-v"], cwd=served.root, env=served.environ, stderr=subprocess.PIPE, text=True
    ) as deploy:
        assert deploy.stderr is not None
        next(line for line in deploy.stderr if line.startswith("starting web"))
        wait_for(lambda: served.daemon() and served.units(), "it runs")
        daemon = served.daemon()
        deploy.stderr.read()
    assert deploy.returncode == 12
    assert daemon and not Path(f"/proc/{daemon}/cwd").exists()
    assert not served.site_root.exists()
    assert list((served.root / "live").iterdir()) == []
    served.deploy("v2")
    served.serves("v2")


def test_what_is_shared_is_in_its_place_before_anything_runs_that_needs_it(served: Served) -> None:
    live = served.root / "live/apps"
    (live / "data").mkdir(parents=True)
    (live / "data/rows").write_text("1")
    (live / ".env").write_text("SECRET=kept")
    (served.root / "live/conf").mkdir()
    shared = '[env.here.trees.apps]\nshared = [".env", "data/"]\n[commands]\nmigrate = ["cat data/rows"]'
    served.configure(more='default_env = "here"', rest=shared, of_web="env_files = ['.env']")
    told = served.deploy("v1", "--adopt", exits=12)
    assert "apps/.env" in told and "apps/data" in told and "treeswap adopt" in told
    assert not served.site_root.exists() and not live.is_symlink()
    served.run("adopt")
    served.deploy("v1")
    assert served.ask().split() == ["v1", "v1", "v1", "kept"]
    assert (live / "data/rows").read_text() == "1"
