"""Going to a release that is there, with what it was deployed with: staged ones, adopted ones, and one that is just
being left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from bench import wait_for, write_tree

from .world import PROGRAM, Served


def test_a_staged_release_starts_when_it_is_switched_to(served: Served) -> None:
    served.deploy("v1")
    served.version("v2")
    served.run("stage", "--label", "two")
    assert served.units() == {f"web 1 of {served.current}"}
    served.run("switch", "two")
    served.serves("v2")
    assert served.units() == {f"web 1 of {served.current}"}


def test_what_is_not_healthy_is_not_switched_to(served: Served) -> None:
    served.deploy("v1")
    served.configure(deploy_timeout=2)
    served.version("v2", sick=True)
    served.run("stage", "--label", "two")
    assert "was not healthy" in served.run("switch", "two", exits=12)
    served.serves("v1")
    assert served.units() == {f"web 1 of {served.current}"}


def test_a_release_from_before_the_processes_is_told_to_have_none(served: Served) -> None:
    served.deploy("v1")
    toml = served.root / "treeswap.toml"
    with_processes = toml.read_text()
    toml.write_text(with_processes.partition("[processes.web]")[0])
    assert "nobody answers" not in served.deploy("v2")
    without = served.current
    toml.write_text(with_processes)
    assert "nobody answers" not in served.deploy("v3")
    told = f"nobody answers at {served.site_root}/current/run/web.sock: {without} was deployed without processes.web"
    for verb in ("rollback", "switch"):
        words = [verb, *([without] if verb == "switch" else [])]
        assert told in served.run(*words, "-n")
        assert told in served.run(*words)
        assert served.units() == set()
        served.deploy("v4")
        served.serves("v4")


def test_an_adopted_release_is_served_by_the_processes_of_the_one_before(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    write_tree(served.root / "live/media", {"a": "live"})
    write_tree(served.root / "new/media", {"a": "new"})
    served.configure(rest="[trees.media]\nsource = 'new/media'\npath = 'live/media'\n")
    served.deploy("v2", "--adopt", "--add")
    served.serves("v2")
    served.run("rollback")
    adopted = served.current
    assert {str(row.record.id): row.record.kind for row in served.site.releases()}[adopted] == "adopted"
    served.serves("v1")
    assert (served.root / "live/media/a").read_text() == "live"
    assert served.units() == {f"web 1 of {first}"}
    # As long as its processes may be needed, that release stays.
    served.configure(keep=1)
    for text in ("v3", "v4"):
        served.deploy(text)
    assert first in {str(row.record.id) for row in served.site.releases()}
    served.run("switch", adopted)
    served.serves("v1")


def test_what_is_gone_back_to_while_it_drains_goes_on(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    (pids,) = served.pids().values()
    served.version("v2")
    words = [*PROGRAM, "deploy", "-v"]
    with subprocess.Popen(words, cwd=served.root, env=served.environ, stderr=subprocess.PIPE, text=True) as deploy:
        assert deploy.stderr is not None
        next(line for line in deploy.stderr if line.startswith("switching"))
        # Somebody waits in a queue which nobody serves, so that the old ones are not told to stop yet.
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(served.site_root / "run" / first / "web.sock"))
            next(line for line in deploy.stderr if line.startswith("retire"))
            with subprocess.Popen(
                [*PROGRAM, "rollback", "-v"], cwd=served.root, env=served.environ, stderr=subprocess.PIPE
            ) as back:
                wait_for(lambda: "rollback" in str(served.site.status().lock), "it has the lock")
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
        deploy.stderr.read()
    assert (deploy.returncode, back.returncode) == (0, 0)
    assert served.current == first
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}"}
    assert served.pids()[f"web 1 of {first}"] & pids
