"""The page about the disk, against the files of a real site."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from treeswap.manifest import ORIGINS

from .bakery import Bakery
from .conftest import BIN
from .console import Reading, Shell
from .pages import DOCS, blocks, code, rows, section

PAGE = DOCS / "on-disk.md"
SIGNED = {"at", "event", "by", "crc"}


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    """A site to which everything happened that the journal knows."""
    bakery = Bakery(tmp_path_factory.mktemp("disk"), deployed=["v0", "v1", "v2"])
    version = bakery.site / "trees/conf" / bakery.current() / "version"
    version.write_text("found\n")
    bakery.run("verify", exits=16)
    bakery.run("rollback")
    version.write_text("v2\n")
    bakery.run("verify", exits=16)  # the time is not what it was
    with bakery.config.open("a") as config:
        config.write('[commands]\nbuild = ["touch built"]\nmigrate = [{ run = "true", exclusive = true }]\n')
    bakery.deploy("v3")
    bakery.config.write_text(bakery.config.read_text().partition("[commands]")[0])
    (bakery.site / "current/conf/local").write_text("found\n")
    bakery.share("v4", "conf", "local")
    bakery.run("prune", "--keep", "1", "--grace", "0")
    (bakery.site / "next").symlink_to(f"releases/{bakery.ids()[0]}")
    (bakery.site / "next").rename(bakery.site / "current")
    bakery.run("recover")
    return bakery


def told(title: str) -> set[str]:
    return {word for row in rows(section(PAGE, title)) for word in code(row[0])}


def members(value: Any, at: str = "") -> set[str]:
    if isinstance(value, dict):
        return {name for key, inner in value.items() for name in members(inner, f"{at}.{key}".lstrip("."))}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {name for inner in value for name in members(inner, f"{at}[]")}
    return {at}


def test_site_json_has_the_members_that_are_told(bakery: Bakery) -> None:
    value = json.loads((bakery.site / ".treeswap/site.json").read_bytes())
    assert members(value) == told("site.json") | {"crc"}


def test_records_have_the_members_that_are_told(bakery: Bakery) -> None:
    for id in bakery.ids():
        value = json.loads((bakery.site / f".treeswap/records/{id}.json").read_bytes())
        assert members(value) == told("records/ID.json") | {"crc"}


def test_the_journal_has_the_events_that_are_told(bakery: Bakery) -> None:
    known = {code(event)[0]: set(code(names)) for event, names, _ in rows(section(PAGE, "journal.jsonl"))}
    found: dict[str, set[str]] = {}
    for line in (bakery.site / ".treeswap/journal.jsonl").read_bytes().splitlines():
        value = json.loads(line)
        found.setdefault(value["event"], set()).update(value.keys() - SIGNED)
    assert known.pop("sound") == known["damaged"]
    assert found == known


def test_manifests_have_the_columns_that_are_told(bakery: Bakery) -> None:
    shown = [line.strip() for line in section(PAGE, "manifests/NAME/ID") if line.startswith("    ")]
    of_directory, columns = (line.split(" TAB ") for line in shown[1:3])
    lines = (bakery.site / ".treeswap/manifests/conf" / bakery.current()).read_text().splitlines()
    assert lines[0] == shown[0]
    assert lines[-1].startswith("sha256 ")
    directory = dict(zip(of_directory, lines[1].split("\t"), strict=True))
    assert (directory["d"], directory["mode"], directory["files"], directory["path"]) == ("d", "0755", "1", "")
    assert re.fullmatch("[0-9a-f]{64}", directory["digest"])
    entry = dict(zip(columns, lines[2].split("\t"), strict=True))
    assert (entry["kind"], entry["mode"], entry["name"]) == ("f", "0644", "version")
    assert re.fullmatch("[0-9a-f]{64}", entry["content"])
    said = " ".join(section(PAGE, "manifests/NAME/ID"))
    assert set(ORIGINS) <= set(code(said))


def test_everything_in_a_site_is_told(bakery: Bakery) -> None:
    modes = {name.split("/")[0]: int(row[1], 8) for row in rows(section(PAGE, "Layout")) for name in code(row[0])}
    private = bakery.site / ".treeswap"
    assert {path.name for path in private.iterdir()} <= modes.keys()
    for name, mode in modes.items():
        for path in _files(private / name):
            assert _mode(path) == mode, path
    drawn = "\n".join(line for line in section(PAGE, "Layout") if line.startswith("      "))
    for path in bakery.site.iterdir():
        assert path.name in drawn
        assert path.is_symlink() or _mode(path) == (0o711 if path == private else 0o755)


def _files(path: Path) -> list[Path]:
    if path.name == "logs":
        return [path]
    return [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path] * path.exists()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_invariants_are_numbered() -> None:
    numbers = [int(found[1]) for line in section(PAGE, "Invariants") if (found := re.match(r"(\d+)\. ", line))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 8


def test_a_switch_by_hand(home: Path) -> None:
    Bakery(home, deployed=["v1", "v2"])
    reading = Reading()
    with Shell(home, [BIN]) as shell:
        for block in blocks(PAGE, "console"):
            reading.follow(shell, block)
