"""What only systemd's units have to see to: their names, whose they are, what changes them, and the boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from treeswap.errors import Failed
from treeswap.process import Process
from treeswap.processes import manager, unitfiles

from .conftest import made
from .worlds import ONE, Contained, World

WEB = Process("web", "serve --on {socket}", drain_timeout=7)


@pytest.fixture(params=["systemd", "systemd-user"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with made(request, request.param) as world:
        yield world


def unit_name(world: World) -> str:
    return unitfiles.Names(world.name).unit(world.unit())


def systemctl(world: Contained, *words: str) -> str:
    if world.user is None:
        return world.container.run("systemctl", *words)
    runtime = f"XDG_RUNTIME_DIR=/run/user/{world.owner}"
    return world.container.run("env", runtime, "systemctl", "--user", *words, user=world.user)


def test_its_units_are_found_right_by_systemd_itself(world: Contained) -> None:
    world.install(WEB)
    world.start(world.unit())
    told = systemctl(world, "show", unit_name(world), "--property=TimeoutStopUSec,LoadState,NeedDaemonReload")
    assert set(told.split()) == {"TimeoutStopUSec=12s", "LoadState=loaded", "NeedDaemonReload=no"}
    names = unitfiles.Names(world.name)
    systemctl(world, "stop", names.target)
    world.until(lambda: not world.running())
    told = world.container.run("journalctl", "--no-pager", "--output=cat")
    for complaint in ("Unknown key", "Failed to parse", "Failed to resolve", "ignoring:"):
        assert complaint not in told


def test_a_changed_definition_changes_the_unit_and_not_what_runs(world: Contained) -> None:
    world.install(WEB)
    world.start(world.unit())
    pids = world.pids(world.unit())
    world.install(Process("web", "serve --on {socket}", drain_timeout=70))
    assert "1min 15s" in systemctl(world, "show", unit_name(world), "--property=TimeoutStopUSec")
    assert world.pids(world.unit()) == pids


def test_a_boot_brings_the_site_to_rest_first(world: Contained) -> None:
    world.install(WEB)
    world.start(world.unit())
    world.call("at_boot", [world.unit()])
    recovered = world.outside(world.site / "recovered")
    assert not recovered.exists()

    world.reboot()

    world.until(lambda: world.pids(world.unit()))
    (at,) = recovered.read_text().split()
    started = [line for line in world.log(world.unit()) if line.startswith("started at")][-1]
    assert float(at) < float(started.split()[-1])


def test_two_sites_of_one_name_are_told_apart(world: Contained) -> None:
    world.install(WEB)
    first = world.site
    world.site = world.room / f"another {world.name}"
    world.furnish(world.owner)
    world.forget_caller()
    try:
        with pytest.raises(Failed, match=f"belongs to the site at {re.escape(str(first))}, "):
            world.install(WEB)
    finally:
        world.site = first
        world.forget_caller()


def test_a_user_who_does_not_linger_is_told_so(world: Contained) -> None:
    if world.user is None:
        with pytest.raises(Failed, match="only root can make units of the system"):
            world.user = "ana"
            try:
                world.install(WEB)
            finally:
                world.user = None
                world.forget_caller()
        return
    lingers = world.outside(Path("/var/lib/systemd/linger/ana"))
    lingers.unlink()
    try:
        with pytest.raises(Failed, match="no systemd that stays") as refusal:
            world.install(WEB)
        assert refusal.value.hint == "loginctl enable-linger ana"
        assert world.call("detect") == "supervisor"
    finally:
        lingers.touch()
    assert world.call("detect") == "systemd-user"


@pytest.mark.parametrize("text", ["a-b.c", ".hidden", "ünï x/y", "%i$HOME", "back\\slash", "a@b"])
def test_any_name_comes_back_from_the_name_of_its_unit(text: str) -> None:
    name = unitfiles.escape(text)
    assert "-" not in name and "/" not in name and "@" not in name
    assert unitfiles.unescape(name) == text
    names = unitfiles.Names(text)
    assert names.parts(names.template("a-b", 3).replace("@", f"@{ONE}")) == ("a-b", 3, ONE)


def test_what_is_not_ours_is_no_unit() -> None:
    names = unitfiles.Names("shop")
    for other in ("treeswap-shop-web-1@x.service", "treeswap-shop2-web-1@20261122180101.service", "ssh.service"):
        assert names.parts(other) is None


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline"])
def test_a_site_that_no_unit_file_can_name_is_refused(name: str) -> None:
    with pytest.raises(Failed, match="cannot stand in a unit file"):
        manager("systemd", "site", Path("/srv") / name).install([])


def test_a_name_too_long_for_a_unit_is_refused() -> None:
    with pytest.raises(Failed, match="too long for the name of a unit"):
        manager("systemd", "x" * 200, Path("/srv/site"))
