"""Deploys with a process on a machine that systemd boots: after a boot, or a power cut, it serves what is current."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from container import ALL, Container, fill
from treeswap.processes.unitfiles import Names

_numbers = itertools.count(1)
SERVER = """
import http.server, os, pathlib, signal, socketserver, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path("version").read_bytes()
        self.send_response(200)
        self.send_header("X-Release", os.environ["TREESWAP_RELEASE_ID"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "-"

with socketserver.ThreadingUnixStreamServer(sys.argv[1], Handler) as server:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(0.05)
"""
CONFIGURATION = """
name = "{name}"
deploy_to = "{home}/site"
process_manager = "{kind}"
[trees.apps]
source = "apps"
[processes.web]
command = "python3 server.py {{socket}}"
tree = "apps"
"""


class Shop:
    """A site with a process, in the home of a user of the container."""

    def __init__(self, container: Container, kind: str) -> None:
        number = next(_numbers)
        self.container, self.user = container, "ana" if kind == "systemd-user" else None
        self.home = Path("/home/ana" if self.user else "/root") / f"shop {number}"
        self.home_outside = container.outside(self.home)
        (self.home_outside / "apps").mkdir(parents=True)
        (self.home_outside / "apps/server.py").write_text(SERVER)
        configuration = CONFIGURATION.format(name=f"shop {number}", home=self.home, kind=kind)
        (self.home_outside / "treeswap.toml").write_text(configuration)
        if self.user:
            container.run("chown", "-R", f"{self.user}:", str(self.home))

    def run(self, *words: str) -> str:
        """treeswap, which has to end well."""
        return self.container.run(*self._treeswap(*words), user=self.user)

    def begin_deploy(self, version: str) -> subprocess.Popen[bytes]:
        self._write(version)
        words = self.container.command(*self._treeswap("deploy"), user=self.user)
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def deploy(self, version: str) -> None:
        self._write(version)
        self.run("deploy")

    def _write(self, version: str) -> None:
        (self.home_outside / "apps/version").write_text(version)

    def _treeswap(self, *words: str) -> list[str]:
        python = "/opt/treeswap/bin/python"
        where = ["/usr/bin/env", f"--chdir={self.home}"]
        return [*where, python, "-m", "treeswap", words[0], "--site", f"{self.home}/treeswap.toml", *words[1:]]

    def current(self) -> str:
        return (self.home_outside / "site/current").readlink().name

    def serves(self) -> tuple[str, str] | None:
        """The release and the version that the socket of current answers; None where it does not."""
        path = self.home_outside / "site/current/run/web.sock"
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(bytes(path))
                line.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with line.makefile("rb") as answer:
                    head, _, body = answer.read().partition(b"\r\n\r\n")
            except OSError:
                return None
        release = [row.split()[1] for row in head.decode().splitlines() if row.startswith("X-Release:")]
        return release[0], body.decode()

    def comes_to_serve(self, *versions: str) -> str:
        """Waits until current's release answers with one of these versions; gives it."""
        deadline = time.monotonic() + 30
        while True:
            served = self.serves()
            if served is not None and served[0] == self.current():
                assert served[1] in versions
                return served[1]
            assert time.monotonic() < deadline, served
            time.sleep(0.1)

    def comes_to_rest(self) -> None:
        """The boot unit has ended, and well; and what runs is current's, nothing else."""
        self._until("ActiveState=active", "show", "--property=ActiveState", self._names.boot)
        assert "Result=success" in self._systemctl("show", "--property=Result", self._names.boot)
        running = self._systemctl("list-units", "--plain", "--no-legend", "--full", self._names.pattern).splitlines()
        assert [line.split()[0].partition("@")[2] for line in running] == [f"{self.current()}.service"]

    def _until(self, told: str, *asked: str) -> None:
        deadline = time.monotonic() + 30
        while told not in (said := self._systemctl(*asked)):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def _systemctl(self, *words: str) -> str:
        if self.user is None:
            return self.container.run("systemctl", *words)
        runtime = f"XDG_RUNTIME_DIR=/run/user/{self.container.run('id', '-u', self.user).strip()}"
        return self.container.run("env", runtime, "systemctl", "--user", *words, user=self.user)

    @property
    def _names(self) -> Names:
        return Names(self.home.name)


@pytest.fixture(scope="module")
def machine(container: Container) -> Container:
    environment = Path("/opt/treeswap")
    container.run("python3", "-m", "venv", "--without-pip", str(environment))
    fill(container.outside(environment), ALL)
    container.run("python3", "-m", "compileall", "-q", str(environment))
    return container


@pytest.mark.parametrize("kind", ["systemd", "systemd-user"])
def test_a_boot_starts_what_is_current_with_its_own_definition(machine: Container, kind: str) -> None:
    shop = Shop(machine, kind)
    shop.deploy("one")
    shop.deploy("two")
    assert shop.comes_to_serve("two") == "two"
    shop.run("rollback")
    assert shop.comes_to_serve("one") == "one"

    shop.container.stop()
    shop.container.start()

    assert shop.comes_to_serve("one") == "one"
    shop.comes_to_rest()
    told = json.loads(shop.run("status", "--json"))
    assert told["state"] == "rest"
    assert told["current"] == shop.current()


@pytest.mark.parametrize(("moment", "expected"), [("sealed", "one"), ("switched", "two")])
def test_a_power_cut_in_a_deploy_leaves_one_release_that_is_served(
    machine: Container, moment: str, expected: str
) -> None:
    shop = Shop(machine, "systemd")
    shop.deploy("one")
    first = shop.current()
    records = shop.home_outside / "site/.treeswap/records"
    deploying = shop.begin_deploy("two")
    come = {"sealed": lambda: len(list(records.glob("*.json"))) == 2, "switched": lambda: shop.current() != first}
    while not come[moment]():
        assert deploying.poll() is None

    machine.cut_power()
    deploying.wait()
    machine.start()

    assert shop.comes_to_serve("one", "two") == expected
    shop.comes_to_rest()
    assert json.loads(shop.run("status", "--json"))["state"] == "rest"
    assert shop.comes_to_serve("one", "two") == expected
    shop.deploy("three")
    assert shop.comes_to_serve("three") == "three"
