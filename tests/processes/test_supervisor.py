"""What only a supervisord of the site's own has to see to: its daemon, which can die, and its configuration."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from treeswap.errors import Failed
from treeswap.process import Process
from treeswap.processes import manager

from .conftest import made
from .worlds import Hosted, World, ordinary

WEB = Process("web", "serve --on {socket}", instances=2)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with made(request, "supervisor, ordinary user") as world:
        yield world


def test_what_a_dead_daemon_left_is_ended_before_another_starts_it_again(world: Hosted) -> None:
    world.install(WEB)
    current, other = world.unit(), world.unit(instance=2)
    for unit in (current, other):
        world.start(unit)
    world.call("at_boot", [current])
    orphans = world.pids(current) | world.pids(other)
    world.end_daemon(signal.SIGKILL)
    assert world.running() == set()
    assert world.alive(orphans) == orphans

    world.install(WEB)

    assert world.alive(orphans) == set()
    world.until(lambda: world.pids(current))
    assert world.running() == {current}


def test_what_a_dead_daemon_left_can_be_stopped(world: Hosted) -> None:
    world.install(WEB)
    world.start(world.unit())
    orphans = world.pids(world.unit())
    world.end_daemon(signal.SIGKILL)

    world.stop(world.unit())

    assert world.alive(orphans) == set()


def test_a_start_says_that_the_daemon_is_gone(world: Hosted) -> None:
    world.install(WEB)
    world.end_daemon(signal.SIGKILL)
    with pytest.raises(Failed, match="supervisord does not answer"):
        world.call("start", world.unit())
    world.install(WEB)
    world.start(world.unit())


def test_the_daemon_runs_in_an_environment_that_is_nobodys(world: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_WHO_DEPLOYS", "x")
    world.install(WEB)
    world.start(world.unit())
    for pid in world.call("pids", world.unit()):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not any(line.startswith(b"SECRET") for line in environment)
        assert any(line.startswith(b"HOME=") for line in environment)


def test_the_owner_goes_on_with_a_daemon_that_root_has_started(request: pytest.FixtureRequest) -> None:
    with made(request, "supervisor, root for a user") as world:
        assert isinstance(world, Hosted)
        world.install(WEB)
        world.start(world.unit())
        world.becomes(ordinary())
        assert world.running() == {world.unit()}
        world.start(world.unit(instance=2))
        world.stop(world.unit())
        world.end_daemon(signal.SIGTERM)
        world.install(WEB)
        world.start(world.unit())
        assert world.running() == {world.unit()}


def test_a_configuration_that_somebody_has_spoilt_is_named(world: Hosted) -> None:
    world.install(WEB)
    world.end_daemon(signal.SIGTERM)
    configuration = world.site / ".treeswap/supervisor/supervisord.conf"
    configuration.write_text("[program:web-1@20261122180101]\nautostart=true\n")
    with pytest.raises(Failed, match=r"supervisord\.conf cannot be understood"):
        world.install(WEB)
    configuration.unlink()
    world.install(WEB)


@pytest.mark.parametrize("name", ["per%cent", "semi ;colon", "hash #tag", "new\nline"])
def test_a_site_whose_name_would_be_read_as_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name / ".treeswap").mkdir(parents=True)
    with pytest.raises(Failed, match="cannot stand in supervisor's configuration"):
        manager("supervisor", "site", tmp_path / name).install([WEB])
    assert os.listdir(tmp_path / name / ".treeswap") == []


def test_a_site_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    site = tmp_path / ("x" * 90)
    site.mkdir()
    with pytest.raises(Failed, match="too long for a socket"):
        manager("supervisor", "site", site).install([WEB])


def test_who_is_neither_owner_nor_root_is_refused(request: pytest.FixtureRequest) -> None:
    with made(request, "supervisor, root") as world:
        assert isinstance(world, Hosted)
        world.becomes(ordinary())
        with pytest.raises(Failed, match="run as its owner, root") as refusal:
            world.install(WEB)
        assert refusal.value.hint == "run this as them, or as root"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_owner_without_a_name_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 4_000_000, -1)
    with pytest.raises(Failed, match="the user 4000000, who has no name here"):
        manager("supervisor", "site", tmp_path).install([WEB])
