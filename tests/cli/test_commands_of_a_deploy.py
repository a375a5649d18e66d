"""The commands of a treeswap.toml as a person sees them: printed, kept, planned; notices; what follows a failure."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from .test_signals import start, until
from .world import World


class Listening:
    """A server on loopback that keeps what is posted to it, and answers with each of `answers` in turn, then 200."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.silent = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.silent.is_set():
                    outer.silent.wait()
                    threading.Event().wait(30)
                answer = outer.answers.pop(0) if outer.answers else 200
                if answer == 200:
                    outer.heard.append(json.loads(body))
                self.send_response(answer)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/secret-token"

    @property
    def events(self) -> list[str]:
        return [notice["event"] for notice in self.heard]


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    thread = threading.Thread(target=listening.server.serve_forever)
    thread.start()
    try:
        yield listening
    finally:
        listening.server.shutdown()
        thread.join()
        listening.server.server_close()


def configure(world: World, commands: str = "", top: str = "") -> None:
    world.tree("b/apps", {"a": "1"})
    text = f'deploy_to = "{world.root}/site"\n{top}\n[trees.apps]\nsource = "apps"\npath = "{world.root}/srv/apps"\n'
    (world.root / "b/treeswap.toml").write_text(f"{text}[commands]\n{commands}\n")


def test_what_commands_print_is_kept_and_shown_with_v(world: World) -> None:
    configure(world, 'build = ["echo built"]\nmigrate = ["echo migrated"]\nafter_switch = ["echo after"]')
    told = world.run("deploy", "-v", cwd="b").err
    assert [word for word in ("built", "migrated", "after") if f"\n  {word}\n" in told] == [
        "built",
        "migrated",
        "after",
    ]
    world.tree("b/apps", {"a": "2"})
    quiet = world.run("deploy", cwd="b").err
    assert "  built" not in quiet and "running: echo built" in quiet
    logs = world.run("log", "current", "--json", cwd="b").json["commands"]
    assert [(log["name"], log["output"]) for log in logs] == [
        ("after_switch", "$ echo after\nafter\n"),
        ("build", "$ echo built\nbuilt\n"),
        ("migrate", "$ echo migrated\nmigrated\n"),
    ]


def test_a_plan_has_each_command_and_calls_nobody(world: World, listening: Listening) -> None:
    commands = ['build = [{ run = "touch {apps}/../ran", where = "local" }, { run = "touch ran", tree = "apps" }]']
    commands += ['migrate = [{ run = "touch ran", exclusive = true }]', 'after_switch = ["touch ran"]']
    configure(world, "\n".join(commands), f'notify = "{listening.address}"')
    plan = world.run("deploy", "-n", "--json", cwd="b").json["plan"]["steps"]
    assert plan == [
        f"build: touch {{apps}}/../ran (local, in {world.root}/b)",
        "stage apps: 1 copied (8,192 bytes), 0 linked, 0 removed",
        "build: touch ran (in apps)",
        "seal the release",
        "migrate: touch ran, in maintenance",
        f"switch {world.root}/site/current to it",
        "run: touch ran",
        "prune down to 5 releases",
    ]
    assert not list(world.root.rglob("ran")) and not (world.root / "site").exists() and listening.heard == []


def test_a_local_build_makes_what_is_a_source(world: World) -> None:
    configure(world, 'build = [{ run = "mkdir -p apps && pwd > apps/a", where = "local" }]')
    world.run("deploy", cwd="b")
    assert world.shows() == f"{world.root}/b\n"
    configure(world, 'build = [{ run = "echo whatever; exit 5", where = "local" }]')
    failed = world.run("deploy", "--json", cwd="b", exits=12).json["error"]
    assert "failed with exit code 5" in failed["message"] and "whatever" in failed["cause"]
    world.run("stage", cwd="b", exits=12)


def test_what_is_done_after_a_failure(world: World) -> None:
    kept = world.root / "kept"
    on_failure = f'on_failure = ["echo $TREESWAP_EXIT $TREESWAP_FAILED $TREESWAP_RELEASE_ID $TREESWAP_ERROR >> {kept}"]'
    configure(world, f'{on_failure}\nbuild = ["exit 3"]')
    world.run("deploy", cwd="b", exits=12)
    first = kept.read_text().split()
    assert first[0] == "12" and len(first[1]) == 14 and first[2] == "`exit"
    configure(world, on_failure)
    current = world.run("deploy", "--json", cwd="b").json["release"]
    assert kept.read_text().split() == first
    configure(world, f'{on_failure}\nafter_switch = ["exit 4"]')
    world.tree("b/apps", {"a": "2"})
    now = world.run("deploy", "--json", cwd="b", exits=17).json["current"]
    assert kept.read_text().splitlines()[1].startswith(f"17 {now} {now} ") and now != current
    configure(world, 'on_failure = ["exit 1"]')
    (world.root / "b/apps/a").unlink()
    (world.root / "b/apps").rmdir()
    assert "warning: what is to run after a failure failed, too" in world.run("deploy", cwd="b", exits=12).err


def test_a_failed_migration_ends_with_what_had_run(world: World) -> None:
    configure(world, 'migrate = ["true", "echo 2", "exit 1"]')
    told = world.run("deploy", cwd="b", exits=12).err.splitlines()
    assert told[-1] == "migrations that had run already: true, echo 2"
    assert world.run("deploy", "--json", cwd="b", exits=12).json["error"]["migrated"] == ["true", "echo 2"]


def test_the_last_lines_of_a_command_that_failed_are_told(world: World) -> None:
    configure(world, 'build = ["seq 30; exit 1"]')
    told = world.run("deploy", "--json", cwd="b", exits=12).json["error"]
    assert told["cause"].split() == [str(n) for n in range(21, 31)] and told["hint"] is None
    configure(world)
    world.run("deploy", cwd="b")
    configure(world, 'build = ["echo oh no; exit 1"]')
    told = world.run("deploy", "--json", cwd="b", exits=12).json["error"]
    id = told["hint"].split()[-1]
    assert told["cause"] == "oh no" and "oh no" in world.run("log", id, cwd="b").out


def test_an_interrupted_command_dies_with_the_deploy(world: World) -> None:
    configure(world, 'build = ["echo $$ > pid; cp pid {site}/../pid; sleep 600"]')
    pid_file = world.root / "pid"
    child = start(world, "deploy", "--site", "b/treeswap.toml")
    until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGTERM, err
    assert not os.path.exists(f"/proc/{pid_file.read_text().strip()}")
    assert not (world.root / "site").exists()


def test_an_interrupted_migration_leaves_the_page_up(world: World) -> None:
    configure(world)
    world.run("deploy", cwd="b")
    began = world.root / "began"
    configure(world, f'migrate = ["true", {{ run = "touch {began}; sleep 600", exclusive = true }}]')
    world.tree("b/apps", {"a": "2"})
    child = start(world, "deploy", "--site", "b/treeswap.toml")
    until(began.exists)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGINT and world.shows() == "1"
    assert err.decode().splitlines()[-1] == "migrations that had run already: true"
    page = world.run("status", "--json", cwd="b").json["maintenance"]
    assert page["why"].endswith("(migrate) was interrupted")
    assert "maintenance" in world.run("status", cwd="b").out
    assert world.run("maintenance", "off", "--json", cwd="b").json["changed"]
    assert world.run("status", "--json", cwd="b").json["maintenance"] is None


def test_maintenance_by_hand(world: World) -> None:
    id = world.deploy("1")
    page = world.root / "srv/.treeswap/apps/maintenance/page.html"
    where = ["--site", "srv/apps"]
    assert "put up" in world.run("maintenance", "-n", "on", *where).out and not page.exists()
    world.run("maintenance", "on", "-m", "Back <soon>", "--retry-after", "5m", *where)
    assert "Back &lt;soon&gt;" in page.read_text() and 'content="300"' in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o644 and page.parent.stat().st_mode & 0o777 == 0o755
    told = world.run("copy", "b/apps:srv/apps", "--force").err
    assert "warning: the site is in maintenance since" in told and page.exists()
    world.run("maintenance", "off", *where)
    assert not page.exists() and not world.run("maintenance", "off", "--json", *where).json["changed"]
    world.run("maintenance", "on", "--as-release", *where)
    assert "Maintenance" in world.shows(file="index.html")
    assert world.run("maintenance", "on", "--as-release", *where, exits=12).err.startswith("error: ")
    world.run("maintenance", "off", *where)
    assert world.shows() == "1" and world.run("status", "--json", *where).json["current"] >= id
    world.run("maintenance", "on", "--tree", "apps", *where, exits=2)


# ---------------------------------------------------------------- notices


def test_notices_tell_the_beginning_and_the_end(world: World, listening: Listening) -> None:
    configure(world, top=f'notify = ["{listening.address}"]')
    answer = world.run("deploy", "--json", cwd="b").json
    begun, done = listening.heard
    assert begun["event"] == "start" and begun["path"] == f"{world.root}/site"
    assert (done["event"], done["release"], done["changed"]) == ("success", answer["release"], True)
    configure(world, 'build = ["exit 1"]', f'notify = "{listening.address}"')
    answer = world.run("deploy", "--json", cwd="b", exits=12).json
    assert listening.events == ["start", "success", "start", "failure"]
    failure = listening.heard[-1]
    assert (failure["exit"], failure["error"], failure["release"]) == (12, answer["error"], answer["current"])


def test_notices_are_tried_again(world: World, listening: Listening) -> None:
    listening.answers = [500, 503]
    configure(world, 'build = ["sleep 1"]', f'notify = "{listening.address}"')
    told = world.run("deploy", cwd="b").err
    assert listening.events == ["start", "success"] and "warning" not in told


@pytest.mark.parametrize("how", ["refused", "silent", "forbidden", "nowhere"])
def test_notices_that_nobody_takes_are_a_warning(world: World, listening: Listening, how: str) -> None:
    address = listening.address
    if how == "silent":
        listening.silent.set()
    elif how == "forbidden":
        listening.answers = [403] * 100
    elif how == "refused":
        address = "http://127.0.0.1:1/secret-token"
    else:
        address = "https://nowhere.invalid/secret-token"
    configure(world, top=f'notify = "{address}"')
    done = world.run("deploy", cwd="b")
    assert world.shows() == "1" and "warning: the notice of the success was not delivered to" in done.err
    assert "secret-token" not in done.err + done.out


def test_an_address_is_shown_nowhere(world: World, listening: Listening) -> None:
    configure(world, top='notify = "${HOOK}"')
    env = {"HOOK": listening.address}
    world.run("deploy", cwd="b", env=env)
    assert listening.events == ["start", "success"]
    assert "secret-token" not in world.run("config", cwd="b", env=env).out
    assert "***" in world.run("config", cwd="b", env=env).out
    for file in (world.root / "site/.treeswap").rglob("*"):
        assert not file.is_file() or b"secret-token" not in file.read_bytes()
    wrong = world.run("deploy", cwd="b", env={"HOOK": "ftp://secret-token"}, exits=2).err
    assert "notify" in wrong and "secret-token" not in wrong
