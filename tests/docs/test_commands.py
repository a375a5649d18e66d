"""The command reference against the program: nothing left out, nothing invented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from treeswap import errors
from treeswap.cli import exec as exec_command
from treeswap.cli.command import EXIT_CODES, Command
from treeswap.cli.program import COMMANDS, program

from .bakery import TREES, Bakery
from .pages import DOCS, blocks, code, headings, rows, section

pytestmark = pytest.mark.xdist_group("commands")  # one run of the commands serves all

PAGE = DOCS / "commands.md"
CHAPTERS = {
    "Common options",
    "Which site a command is about",
    "Naming a release",
    "Exit codes",
    "JSON",
    "Environment variables",
}


def command(name: str) -> Command:
    found = program.get_command(click.Context(program), name)
    assert isinstance(found, Command)
    return found


def option_names(params: list[click.Parameter]) -> set[str]:
    return {
        name for param in params if isinstance(param, click.Option) for name in (*param.opts, *param.secondary_opts)
    }


def documented_options(name: str) -> dict[str, str]:
    """Each option in the table of a section, with what stands beside it."""
    words = [word for row in rows(section(PAGE, name)) for word in code(row[0])]
    return {word.split()[0]: word for word in words if word.startswith("-")}


# ---------------------------------------------------------------- the sections


def test_each_command_has_a_section() -> None:
    found = [heading.text for heading in headings(PAGE) if heading.level == 2]
    assert set(found) - CHAPTERS == set(COMMANDS)
    assert [name for name in found if name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_is_told_and_none_invented(name: str) -> None:
    own = command(name)
    assert set(documented_options(name)) == option_names([p for p in own.params if p not in own.common])


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_takes_what_is_told(name: str) -> None:
    told = documented_options(name)
    own = command(name)
    for param in (p for p in own.params if isinstance(p, click.Option) and p not in own.common):
        values = " ".join(told[param.opts[-1]].split()[1:])
        assert values == ("" if param.is_flag else param.make_metavar(click.Context(own)))


def test_the_common_options_are_told() -> None:
    assert set(documented_options("Common options")) == option_names(command("status").common) | {"-h", "--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_synopsis_has_the_arguments(name: str) -> None:
    synopsis = next(line for line in section(PAGE, name) if line.startswith("    treeswap"))
    assert synopsis.split()[1] == name
    arguments = [param for param in command(name).params if isinstance(param, click.Argument)]
    wanted = {word for a in arguments for word in re.findall(r"[A-Z]{2,}|\bA\b|\bB\b|bash|zsh|fish", _metavar(a))}
    assert wanted <= set(re.findall(r"\w+", synopsis))
    assert bool(set(synopsis.split()) & {"[OPTIONS]"}) == bool(documented_options(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_that_of_the_help(name: str) -> None:
    shown = "\n".join(block.text for block in blocks(PAGE, "text") if block.heading == name)
    assert command(name).example in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_codes_are_those_of_the_help(name: str) -> None:
    said = " ".join(section(PAGE, name))
    found = re.search(r"(?:Exit codes:|Of treeswap:) ([\d, ]+)\.", said)
    assert found
    assert tuple(map(int, found[1].split(", "))) == tuple(sorted(command(name).exits))


def _metavar(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        return " ".join(map(str, argument.type.choices))
    return argument.metavar or ""


# ---------------------------------------------------------------- exit codes and errors


def _classes(kind: type[errors.TreeswapError]) -> Iterator[type[errors.TreeswapError]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _classes(inner)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {int(number) for row in rows(section(PAGE, "Exit codes")) for number in re.findall(r"^[\d, ]+$", row[0])
            for number in number.split(", ")}  # fmt: skip
    classes = {kind.exit_code for kind in _classes(errors.TreeswapError)}
    assert told == classes | set(EXIT_CODES)


def test_the_meaning_of_an_exit_code_is_that_of_the_help() -> None:
    meanings = {row[0]: row[1] for row in rows(section(PAGE, "Exit codes")) if row[0].isdigit()}
    for number, meaning in meanings.items():
        if int(number) in EXIT_CODES:
            assert meaning.startswith(EXIT_CODES[int(number)])


def test_each_error_has_its_code() -> None:
    told = {code(row[0])[0]: row[1] for row in rows(section(PAGE, "Exit codes")) if row[0].startswith("`")}
    own: list[type[errors.TreeswapError]] = [exec_command.CannotExecute, exec_command.CommandNotFound]
    made = [kind for kind in _classes(errors.TreeswapError) if kind.__module__ == errors.__name__]
    classes = {errors.TreeswapError.code.__get__(kind.__new__(kind)): str(kind.exit_code) for kind in (*made, *own)}
    assert told == {**classes, "interrupted": "128+N", "bug": "1"}


# ---------------------------------------------------------------- JSON


def documented_fields(title: str) -> set[str]:
    return {code(row[0])[0] for row in rows(section(PAGE, title))}


def printed_by(title: str) -> set[str]:
    said = " ".join(section(PAGE, title))
    found = re.search(r"Printed .*?[.:]", said)
    assert found, f"{title} does not say which commands print it"
    return set(code(found[0])) - {"-n"}


SHAPES = [heading.text for heading in headings(PAGE) if heading.level == 3 and heading.text != "In every object"]


def test_each_command_prints_a_shape_that_is_told() -> None:
    told = {name for title in SHAPES for name in printed_by(title)}
    assert told == set(COMMANDS) - {"exec"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The objects that real commands print: by shape and command."""
    bakery = Bakery(tmp_path_factory.mktemp("json"), deployed=["v1", "v2"])
    site = str(bakery.site)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {title: {} for title in SHAPES}

    def run(title: str, *words: str, config: bool = True) -> None:
        where = ["--site", str(bakery.config) if config else site]
        done = subprocess.run(
            [sys.executable, "-m", "treeswap", "--json", *where, *words], capture_output=True, text=True, check=False
        )
        answer = json.loads(done.stdout)
        assert answer["exit"] == done.returncode
        found[title].setdefault(words[0], []).append(answer)

    (bakery.build / "conf/new").touch()
    run("A plan", "deploy", "-n")
    run("A plan", "stage", "-n")
    run("A change", "deploy")
    run("A change", "stage", "--force", "--label", "staged")
    run("A plan", "switch", "-n", "staged")
    run("A change", "switch", "staged")
    run("A plan", "rollback", "-n")
    run("A change", "rollback")
    run("A plan", "lock", "-n", "-m", "why")
    run("A hold", "lock", "-m", "why")
    run("The status", "status")
    run("A plan", "unlock", "-n")
    bakery.run("unlock")
    run("A plan", "maintenance", "-n", "on")
    run("A change", "maintenance", "on", "--message", "soon")
    run("The status", "status")
    run("A change", "maintenance", "off")
    bakery.run("lock", "-m", "why")
    run("A hold", "unlock")
    with bakery.deploying("v3"):
        run("The status", "status")
    run("The status", "status")
    run("A plan", "recover", "-n")
    run("A change", "recover")
    run("The releases", "releases")
    run("The log", "log")
    logs = bakery.site / ".treeswap/logs" / bakery.current()
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "after_switch.log").write_text("$ true\n")
    run("The log", "log", "current")
    run("A difference", "diff", bakery.ids()[0], "current")
    run("A verification", "verify")
    run("Findings", "check")
    stray = bakery.site / "trees/media" / bakery.current() / "stray"
    stray.touch()
    run("A verification", "verify")
    run("Findings", "check")
    stray.unlink()
    run("A prune", "prune", "-n", "--keep", "1")
    run("A prune", "prune", "--keep", "1", "--grace", "0")
    run("A configuration", "config")
    run("A script", "completion", "bash")
    run("A web server's configuration", "webserver", "nginx")
    run("A new site", "init")
    run("A new site", "init", config=False)
    run("A new site", "init", "--output", str(bakery.home / "out.toml"), config=False)
    run("A plan", "unadopt", "-n")
    run("A change", "unadopt")
    run("A plan", "adopt", "-n")
    run("A change", "adopt", "--add")
    pairs = [f"{tree}={bakery.build / tree}:{bakery.public(tree)}" for tree in TREES]
    run("A plan", "copy", "-n", *pairs, config=False)
    run("A change", "copy", *pairs, config=False)
    return found


@pytest.mark.parametrize("title", SHAPES)
def test_each_field_is_told_and_none_invented(title: str, printed: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    assert set(printed[title]) == printed_by(title)
    told = documented_fields(title) | documented_fields("In every object")
    every: set[str] = set()
    for answers in printed[title].values():
        for answer in answers:
            assert set(answer) > {"version", "ok", "exit", "error", "current"}, answer["error"]
            every |= fields(answer)
    assert {field for field in every if not _is_told(field, told)} == set()
    failed = {"error.code", "error.message", "error.hint", "error.cause", "error.migrated"}
    assert {field for field in told - failed if field not in every} == set()


def test_an_error_has_the_fields_that_are_told(tmp_path: Path) -> None:
    words = ["status", "--json", "--site", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "treeswap", *words], capture_output=True, text=True, check=False)
    assert fields(json.loads(done.stdout)) == documented_fields("In every object") - {"error"}


def fields(value: Any, at: str = "") -> set[str]:
    """The fields of an object as the page writes them. One that is null here and an object there is both."""
    found = {at} if at else set()
    if isinstance(value, dict):
        inner = "NAME" if at.endswith("trees") else "STEP" if at == "seconds" else None
        if not value or at == "config":
            return {at}
        found = found if at in {"lock", "hold", "maintenance"} else set()
        for name, member in value.items():
            found |= fields(member, f"{at}.{inner or name}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        found = set[str]().union(*(fields(member, f"{at}[]") for member in value))
    return found


def _is_told(field: str, told: set[str]) -> bool:
    """Told, or a collection that happens to be empty, whose members are told."""
    return field in told or any(other.startswith((f"{field}.", f"{field}[]")) for other in told)


# ---------------------------------------------------------------- environment variables


def test_the_variables_are_those_of_the_options() -> None:
    words = [code(row[0])[0] for row in rows(section(PAGE, "Environment variables"))]
    options = {f"TREESWAP_{param.name.upper()}" for param in command("status").common if param.name}
    assert options <= set(words)
    assert set(words) - options == {
        "TREESWAP_COPY_KEEP",
        "TREESWAP_RELEASE",
        "TREESWAP_RELEASE_ID",
        "TREESWAP_PREVIOUS",
    }


def test_the_variables_are_read_and_set(tmp_path: Path) -> None:
    bakery = Bakery(tmp_path, deployed=["v1"])
    read = {"TREESWAP_SITE": str(bakery.site), "TREESWAP_JSON": "1"}
    assert json.loads(_with(read, "status"))["current"] == bakery.current()
    pairs = [f"{bakery.build / tree}:{bakery.public(tree)}" for tree in TREES]
    _with({"TREESWAP_COPY_KEEP": "2"}, "copy", *pairs)
    assert "keep_releases = 2" in _with({}, "config", "--site", str(bakery.site))
    after = 'printenv TREESWAP_SITE TREESWAP_RELEASE TREESWAP_RELEASE_ID; echo "before $TREESWAP_PREVIOUS"'
    bakery.write("v2")
    before = bakery.current()
    _with({}, "copy", "--after", after, *pairs)
    site, now = str(bakery.site), bakery.current()
    told = f"{site}\n{site}/releases/{now}\n{now}\n"
    assert told + f"before {before}" in _with({}, "log", "current", "--site", site)
    names = ["TREESWAP_SITE", "TREESWAP_RELEASE", "TREESWAP_RELEASE_ID"]
    assert _with({}, "exec", "--site", site, "--", "printenv", *names) == told


def _with(environment: dict[str, str], *words: str) -> str:
    assignments = [f"{name}={value}" for name, value in environment.items()]
    return subprocess.run(
        ["env", *assignments, sys.executable, "-m", "treeswap", *words], capture_output=True, text=True, check=True
    ).stdout
