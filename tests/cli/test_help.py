"""Help is complete: every command is listed, has an example that it understands, and says what its exit codes mean."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from treeswap.cli.command import EXIT_CODES, Command
from treeswap.cli.program import COMMANDS, SECTIONS, UNLISTED, program
from treeswap.cli.session import Session

CHANGES = {
    "copy", "deploy", "stage", "switch", "rollback", "init", "adopt", "unadopt", "prune", "recover", "lock", "unlock",
    "maintenance",
}  # fmt: skip


def command_named(name: str) -> Command:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, Command)
    return command


def help_of(*words: str) -> str:
    result = CliRunner().invoke(program, [*words, "--help"], obj=Session(words))
    assert result.exit_code == 0, result.output
    return result.output


def examples() -> list[list[str]]:
    lines = (line for name in COMMANDS for line in command_named(name).example.splitlines())
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("name", [*COMMANDS, *UNLISTED])
def test_each_help_has_an_example_the_common_flags_and_the_exit_codes(name: str) -> None:
    text = help_of(name)
    assert "Example:\n  " in text
    assert "--json" in text and "--site" in text and "-q, --quiet" in text
    codes = text.partition("Exit codes:\n")[2]
    for code in command_named(name).exits:
        assert f"  {code} " in codes and EXIT_CODES[code] in " ".join(codes.split())
    assert ("-n, --dry-run" in text) == (name in CHANGES)


def test_the_help_lists_the_commands_by_section_and_no_others() -> None:
    lines = help_of().splitlines()
    for section, names in SECTIONS.items():
        rows = lines[lines.index(f"{section}:") + 1 :]
        rows = rows[: rows.index("")]
        assert [row.split()[0] for row in rows if row[2] != " "] == list(names)
    listed = {row.split()[0] for row in lines if row.startswith("  ") and row[2:3].isalpha()}
    assert listed.isdisjoint(UNLISTED)


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_each_example_is_understood(words: list[str]) -> None:
    if words[0] == "eval":
        words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
    assert words[0] == "treeswap"
    named = next(number for number, word in enumerate(words) if word in COMMANDS)
    group = program.make_context("treeswap", words[1 : named + 1], obj=Session(words))
    command_named(words[named]).make_context(words[named], words[named + 1 :], parent=group)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_of_its_command(name: str) -> None:
    assert f"treeswap {name}" in command_named(name).example
