"""The value of a process, and what it becomes in one release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from treeswap.errors import ConfigError, Failed
from treeswap.process import Process
from treeswap.processes import Running, Unit, envfile, socket_path
from treeswap.release import ReleaseId

ID = ReleaseId("20261122180101")
SITE = Path("/srv/example.com")
FULL = Process(
    "web",
    'serve --bind unix:{socket} --root {apps}/x --title "two words" --conf {release}/conf --json {{}} -n{instance}',
    tree="apps",
    env={"HERE": "{site}"},
    env_files=(".env",),
    health="check {socket}",
    deploy_timeout=1.5,
    drain_timeout=0,
    instances=3,
    stop="first",
)


def running(process: Process, apps: Path = Path("/v/a b"), instance: int = 1) -> Running:
    return Running(process, Unit("x", SITE, ID, process.name, instance), {"apps": apps})


def test_a_definition_comes_back_from_its_data() -> None:
    assert Process.of_data(json.loads(json.dumps(FULL.data()))) == FULL


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "a b"),
        ("name", 3),
        ("command", "a\0b"),
        ("tree", 1),
        ("env", []),
        ("env", {"A": 1}),
        ("env_files", "x"),
        ("env_files", [1]),
        ("health", 0),
        ("deploy_timeout", -1),
        ("drain_timeout", float("inf")),
        ("instances", True),
        ("stop", "never"),
    ],
)
def test_data_that_is_no_definition_is_none(key: str, value: object) -> None:
    with pytest.raises(ValueError):
        Process.of_data({**FULL.data(), key: value})


def test_what_stands_in_braces_is_filled_in_and_a_path_stays_one_word() -> None:
    filled = running(FULL, instance=2)
    assert filled.words() == [
        "serve",
        "--bind",
        f"unix:/srv/example.com/run/{ID}/web.2.sock",
        "--root",
        "/v/a b/x",
        "--title",
        "two words",
        "--conf",
        f"/srv/example.com/releases/{ID}/conf",
        "--json",
        "{}",
        "-n2",
    ]
    assert filled.health_words() == ["check", f"/srv/example.com/run/{ID}/web.2.sock"]
    assert filled.directory == Path("/v/a b")
    assert running(Process("web", "serve")).directory == SITE / "releases" / ID


def test_a_tree_may_have_the_name_of_what_is_filled_in_anyhow() -> None:
    process = Process("web", "serve {site} {release}/site")
    process.check(["site"])
    unit = Unit("x", SITE, ID, "web")
    assert Running(process, unit, {"site": Path("/v")}).words()[1:] == [str(SITE), f"{SITE}/releases/{ID}/site"]


def test_health_is_a_path_where_there_is_a_socket_and_a_command_otherwise() -> None:
    web = Process("web", "serve {socket}")
    assert (web.has_socket, web.health_path, web.health_command) == (True, "/up", None)
    web = Process("web", "serve", env={"BIND": "{socket}"}, health="/ok?x=1")
    assert (web.health_path, web.health_command) == ("/ok?x=1", None)
    worker = Process("worker", "celery")
    assert (worker.has_socket, worker.health_path, worker.health_command) == (False, None, None)
    worker = Process("worker", "sh -c 'exec serve $TREESWAP_SOCKET'", health="/bin/true now")
    assert (worker.has_socket, worker.health_path, worker.health_command) == (True, None, "/bin/true now")


def test_a_definition_that_can_run_is_let_through() -> None:
    FULL.check(["apps", "conf"])
    for command in ("serve --current x", "serve current-events/", "get http://x/api/current/status", "x concurrent/y"):
        Process("web", command).check([])


@pytest.mark.parametrize(
    ("process", "told"),
    [
        (Process("web", "serve current/app.py"), "names current/"),
        (Process("web", "serve --chdir={site}/current"), "names current/"),
        (Process("web", "serve --bind unix:///srv/x/current/run/web.sock"), "names current/"),
        (
            Process("web", "serve", env={"PYTHONPATH": "/srv/x/current/apps"}),
            r"processes\.web\.env\.PYTHONPATH: .*current/",
        ),
        (Process("web", "serve", env_files=("/srv/x/current/.env",)), "names current/"),
        (Process("web", "serve {sokcet}"), r"nothing is known as \{sokcet\}"),
        (Process("web", "serve ${HOME}"), r"nothing is known as \{HOME\}"),
        (Process("web", "serve", health="check {conf}"), r"processes\.web\.health: nothing is known as \{conf\}"),
        (Process("web", "serve 'x"), "cannot be split into words"),
        (Process("web", "  "), "is empty"),
        (Process("web", "serve", tree="conf"), "there is no tree 'conf'"),
        (Process("web", "serve", instances=0), "at least 1"),
        (Process("web.1", "serve"), "cannot name a process"),
        (Process("web", "serve", env={"A-B": "x"}), "cannot name a variable"),
    ],
)
def test_what_could_not_run_or_would_not_keep_to_its_release_is_refused(process: Process, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refusal:
        process.check(["apps"])
    assert refusal.value.hint


def test_a_socket_of_107_bytes_is_the_longest() -> None:
    length = len(f"/run/{ID}/web.sock")
    site = Path("/" + "ü" * ((107 - length - 1) // 2) + "x" * ((107 - length - 1) % 2))
    path = socket_path(Unit("x", site, ID, "web"))
    assert len(bytes(path)) == 107
    with pytest.raises(ConfigError, match="109 bytes, and the system allows 107"):
        socket_path(Unit("x", site, ID, "web", 2))


def test_the_environment_is_the_files_then_the_definition_then_treeswaps(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n\nexport SECRET='two  words' # said\nHERE=overridden\nEMPTY=\nTREESWAP_RELEASE_ID=x\n"
    )
    assert running(FULL, tmp_path).environment() == {
        "PYTHONDONTWRITEBYTECODE": "1",
        "SECRET": "two  words",
        "HERE": str(SITE),
        "EMPTY": "",
        "TREESWAP_SITE": str(SITE),
        "TREESWAP_RELEASE": f"{SITE}/releases/{ID}",
        "TREESWAP_RELEASE_ID": ID,
        "TREESWAP_SOCKET": f"{SITE}/run/{ID}/web.sock",
    }
    assert "TREESWAP_SOCKET" not in running(Process("worker", "celery")).environment()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a#b\\c'd", "a#b\\c'd"),
        ("  two words   # a comment", "two words"),
        ("#not-a-comment", "#not-a-comment"),
        (" # a comment", ""),
        ("a=b", "a=b"),
        ("'$x \\n \" # '  # a comment", '$x \\n " # '),
        (r'"a \" b \\ c \n d \$ # e"', 'a " b \\ c \n d \\$ # e'),
        ("''", ""),
        ("ünï\r", "ünï"),
    ],
)
def test_a_value_is_what_stands_there(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / ".env").write_text(f"NAME={text}")
    assert envfile.read(tmp_path / ".env") == {"NAME": value}


@pytest.mark.parametrize("line", ["hunter2", "A-B=hunter2", "A='hunter2", 'A="hunter2" 3', "=hunter2", "A=hunter2\0"])
def test_a_line_that_is_none_is_told_without_what_it_holds(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"GOOD=1\n{line}\n")
    with pytest.raises(Failed, match="line 2") as refusal:
        running(FULL, tmp_path).environment()
    assert "hunter2" not in f"{refusal.value.message}{refusal.value.hint}{refusal.value.cause}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"\.env cannot be read"):
        running(FULL, tmp_path).environment()
