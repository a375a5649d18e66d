"""The reading of console blocks: what it lets pass, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest

from .console import HOME, Reading, Shell, steps
from .pages import Block

ID, OTHER = "20261122180102", "20261122180310"


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("took 31 ms", "took 1.5 s"),
        ("since 2026-11-22 18:01:02 UTC by ana@host", "since 2027-01-01 00:00:00 UTC by root@web-1.example"),
        (f"to {ID} from {OTHER}", "to 20270101000000 from 20270101000001"),
        ("a  b", "a      b"),
        ("first\n…\nlast", "first\n1\n2\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("space … free", "space 1,234 bytes free"),
    ],
)
def test_what_differs_from_run_to_run_is_let_pass(shown: str, printed: str) -> None:
    assert Reading().fits(shown.splitlines(), printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("kept", "new"),
        ("kept", "kept\nand more"),
        ("kept", ""),
        ("", "something"),
        ("took 31 ms", "took 31 minutes"),
        (f"to {ID} from {ID}", "to 20270101000000 from 20270101000001"),
        (f"to {ID} from {OTHER}", "to 20270101000000 from 20270101000000"),
        ("first\n…\nlast", "first\n1\n2\nlast but one"),
    ],
)
def test_all_else_must_be_as_shown(shown: str, printed: str) -> None:
    assert not Reading().fits(shown.splitlines(), printed)


def test_an_id_of_the_page_stands_for_one_id_of_the_run() -> None:
    reading = Reading()
    assert reading.fits([f"current: {ID}"], "current: 20270101000000")
    assert reading.fits([f"before: {ID}"], "before: 20270101000000")
    assert not reading.fits([f"before: {ID}"], "before: 20270101000001")
    assert not reading.fits([f"before: {OTHER}"], "before: 20270101000000")


def test_a_session_keeps_its_directory_and_its_variables(home: Path) -> None:
    block = _block(
        f"$ mkdir -p {HOME}/a && cd {HOME}/a\n$ X=1; pwd\n{HOME}/a\n$ echo \\\n> $X\n1\n$ cat\n$ exit_code=0"
    )
    with Shell(home, []) as shell:
        Reading().follow(shell, block)


@pytest.mark.parametrize("text", ["$ false", "$ echo error: x\nerror: x", "$ echo one\ntwo"])
def test_a_command_that_does_otherwise_is_found_out(home: Path, text: str) -> None:
    with Shell(home, []) as shell, pytest.raises(AssertionError, match="the page shows"):
        Reading().follow(shell, _block(text))


def test_the_lines_of_a_block_are_told_apart() -> None:
    first, second = steps(_block("$ for a in 1; do\n> echo $a\n> done\n1\n$ true"))
    assert (first.command, first.expected) == ("for a in 1; do\necho $a\ndone", ("1",))
    assert (second.command, second.expected) == ("true", ())


def _block(text: str) -> Block:
    return Block(Path("page.md"), 1, "console", "", text)
