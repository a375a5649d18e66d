"""Links, commands and options in the documentation: each leads to something that exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from treeswap.cli.program import COMMANDS, UNLISTED, program

from .console import steps
from .pages import DOCS, ROOT, blocks, code, headings, links, pages, prose

CONTEXT = click.Context(program)
COMMON = {"--site", "--env", "--lock-wait", "--json", "-q", "--quiet", "-v", "--verbose", "-h", "--help"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in {heading.anchor for heading in headings(there)}, target


def test_the_readme_leads_to_each_page() -> None:
    reached = {(ROOT / target.partition("#")[0]).resolve() for target in links(ROOT / "README.md")}
    assert {page for page in pages() if page.name != "README.md"} <= reached


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_commands_that_are_named_exist(page: Path) -> None:
    for words in command_lines(page):
        name = _command(words)
        if name is not None:
            assert name in (*COMMANDS, *UNLISTED), words
            unknown = _options(words) - _known(name)
            assert not unknown, f"{' '.join(words)}: no such option: {unknown}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_options_that_are_named_exist(page: Path) -> None:
    known = {option for name in COMMANDS for option in _known(name)} | {"--version", "--isolate"}  # README: not yet
    for text in code(" ".join(prose(page))):
        if re.match(r"--?[a-z]", text):
            assert text.split()[0].partition("=")[0] in known, text


def test_what_there_is_not_yet_is_not_there() -> None:
    """`--isolate` is named once, as something that is not there."""
    said = [line for page in pages() for line in prose(page) if "--isolate" in line]
    assert len(said) == 1
    assert "not yet" in said[0]
    assert "--isolate" not in _known("exec")


def command_lines(page: Path) -> list[list[str]]:
    """Every command line of treeswap's own on a page, in words, wherever it stands."""
    found = code(" ".join(prose(page)))
    found += [line.strip() for line in prose(page) if line.startswith("    ")]
    for block in blocks(page, "text", "console"):
        if block.language == "console":
            found += [step.command for step in steps(block)]
        else:
            found += block.text.splitlines()
    lines = []
    for text in found:
        for part in re.split(r"&&|;|\||\$\(|\n|`| -- ", text.replace("\\\n", " ")):
            if part == "treeswap manifest 1":  # the first line of such a file
                continue
            if (start := re.search(r"(?:^|\s|/)treeswap(?= )", part)) is not None:
                lines.append(_split(part[start.end() :]))
    return lines


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text.rstrip(")\"'"), comments=True)
    except ValueError:
        return text.split()


def _command(words: list[str]) -> str | None:
    rest = list(words)
    while rest and rest[0].startswith("-"):
        if rest.pop(0) in {"--site", "--env", "--lock-wait"} and rest:
            rest.pop(0)
    return rest[0] if rest and re.fullmatch(r"[a-z]+", rest[0]) else None


def _options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}


def _known(name: str) -> set[str]:
    command = program.get_command(CONTEXT, name)
    assert command is not None
    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[0] == "-"}
    return options | COMMON


def test_the_pages_name_commands_at_all() -> None:
    """The search above finds what it looks for."""
    named = {_command(words) for page in pages() for words in command_lines(page)}
    assert set(COMMANDS) <= named
    assert all(command_lines(page) for page in DOCS.glob("*.md"))
