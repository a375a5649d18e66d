"""The pages whose console blocks tell one story, typed from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import BIN
from .console import Reading, Shell
from .pages import DOCS, ROOT, blocks


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "tutorial.md"], ids=lambda page: page.stem)
def test_a_story_happens_as_it_is_told(page: Path, home: Path) -> None:
    told = blocks(page, "console")
    assert told
    reading = Reading()
    with Shell(home, [BIN]) as shell:
        for block in told:
            reading.follow(shell, block)


def test_shared_hosting_needs_no_rights(home: Path, without_rights: list[str]) -> None:
    told = blocks(DOCS / "shared-hosting.md", "console")
    assert told
    reading = Reading()
    with Shell(home, [BIN], within=without_rights) as shell:
        rights, _ = shell.run("id -u; grep CapEff /proc/self/status")
        assert rights.split()[0] != "0" and int(rights.split()[-1], 16) == 0
        for block in told:
            reading.follow(shell, block)
