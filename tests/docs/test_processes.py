"""The page about process managers: its names are those that the program gives."""

from __future__ import annotations

from pathlib import Path

from treeswap.layout import Layout
from treeswap.process import LONGEST_SOCKET, Process
from treeswap.processes import AUTO, KINDS, PROGRAM, Unit
from treeswap.processes.family import MARK
from treeswap.processes.supervisord import Supervisord, log_of
from treeswap.processes.unitfiles import BACKS_OFF, WEB_SERVERS, Names, UnitFiles, escape
from treeswap.release import ReleaseId

from .pages import DOCS, code, rows, section

PAGE = DOCS / "processes.md"
UNIT = Unit("shop", Path("/SITE"), ReleaseId("20261122180102"), "web")


def test_each_kind_of_manager_is_told() -> None:
    text = PAGE.read_text()
    first = [code(row[0])[0] for row in rows(section(PAGE, "Process managers"))][: len(KINDS) + 1]
    assert first == [f'"{kind}"' for kind in (*KINDS, AUTO)]
    assert f"`{MARK}`" in text


def test_units_are_called_as_told() -> None:
    names = Names("shop")
    told = [code(row[0])[0] for row in rows(section(PAGE, "systemd"))]
    assert told == [names.unit(UNIT), names.target, names.boot]
    said = " ".join(section(PAGE, "systemd"))
    assert f"{names.template('web', 1)}.d/" in said
    assert f"`{escape('my-shop')}`" in said
    assert f"from systemd {BACKS_OFF} on" in said


def test_units_say_what_is_told() -> None:
    files = UnitFiles(Names("shop"), DOCS, PROGRAM, user=False)
    boot = files.of_site()[Names("shop").boot]
    assert all(server in boot for server in WEB_SERVERS)
    (template,) = files.of_process(Process("web", "serve"), backs_off=True).values()
    assert "KillMode=mixed" in template
    assert "RestartMaxDelaySec=30s" in template


def test_supervisor_keeps_its_files_where_told() -> None:
    text = PAGE.read_text()
    site = Path("/SITE")
    daemon = Supervisord(site, PROGRAM)
    assert f"`{str(daemon.directory).removeprefix('/')}/`" in text
    assert f"`{str(log_of(UNIT).parent.parent).removeprefix('/')}/ID/`" in text
    assert Layout(site).supervisor == daemon.directory
    longest = LONGEST_SOCKET - len(".1234567") - len(str(daemon.socket).removeprefix("/SITE"))
    assert f"at most {longest} bytes" in " ".join(text.split())
