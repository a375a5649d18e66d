"""The page about treeswap.toml: its keys and defaults are those of the program, its examples load."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from treeswap import config
from treeswap.config import schema
from treeswap.config.values import duration
from treeswap.process import Process
from treeswap.release import Settings, Tree

from .conftest import BIN
from .console import Reading, Shell
from .pages import DOCS, ROOT, Block, blocks, code, rows, section

PAGE = DOCS / "configuration.md"
EXAMPLES = [block for page in (PAGE, ROOT / "README.md") for block in blocks(page, "toml")]


def keys(shape: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys of a table, as the page writes them."""
    for name, inner in shape.items():
        if isinstance(inner, Mapping):
            yield from keys(inner, f"{above}{name}.")
        elif isinstance(inner, schema.Each):
            if name not in ("trees", "processes"):
                yield f"{above}{name}.NAME"
        else:
            yield f"{above}{name}"


def told(title: str) -> dict[str, list[str]]:
    return {code(row[0])[0]: row[1:] for row in rows(section(PAGE, title))}


def test_the_keys_of_the_site_are_told_and_none_invented() -> None:
    assert set(told("Keys of the site")) == set(keys(schema.ROOT))


def test_the_keys_of_a_tree_are_told_and_none_invented() -> None:
    assert set(told("Keys of a tree")) == set(keys(schema.TREE))


def test_the_keys_of_a_process_are_told_and_none_invented() -> None:
    assert set(told("Keys of a process")) == set(keys(schema.PROCESS))


def test_the_types_are_those_that_are_checked() -> None:
    kinds = {
        schema.TEXT: {"text", "path"},
        schema.TEXTS: {"list"},
        schema.WHOLE: {"whole"},
        schema.DURATION: {"duration"},
        schema.TRUTH: {"true"},
        schema.ONE_OR_MORE: {"text"},
        schema.COMMANDS: {"list"},
    }
    flat = {**schema.ROOT, **{f"commands.{name}": kind for name, kind in schema.ROOT["commands"].items()}}
    of_a_process = {**schema.PROCESS, "env.NAME": schema.PROCESS["env"].shape}
    site, tree = (flat, "Keys of the site"), (schema.TREE, "Keys of a tree")
    for shape, title in (site, tree, (of_a_process, "Keys of a process"), (schema.COMMAND, "Keys of a command")):
        for key, (kind, *_) in told(title).items():
            wanted = kinds[shape[key]] if key in shape else {"table"}
            assert kind.split()[0].rstrip(",") in wanted, key


@pytest.mark.parametrize(
    "key",
    [
        "keep_releases",
        "grace",
        "public_paths",
        "maintenance",
        "process_manager",
        "keep_warm",
        *(f"commands.{which}" for which in schema.ROOT["commands"]),
    ],
)
def test_the_defaults_of_the_site_are_those_of_the_program(key: str) -> None:
    value = tomllib.loads(f"value = {code(told('Keys of the site')[key][1])[0]}")["value"]
    settings = Settings()
    defaults = {
        "keep_releases": settings.keep_releases,
        "grace": settings.grace,
        "public_paths": config.PUBLIC_PATHS,
        "process_manager": settings.process_manager,
        "keep_warm": settings.keep_warm,
        "maintenance": settings.maintenance,
        **{f"commands.{which}": list(getattr(settings, which)) for which in schema.ROOT["commands"]},
    }
    assert (duration(value) if key in ("grace", "keep_warm") else value) == defaults[key]


@pytest.mark.parametrize("key", ["shared", "exclude", "touch", "ignore"])
def test_the_defaults_of_a_tree_are_those_of_the_program(key: str) -> None:
    value = tomllib.loads(f"value = {code(told('Keys of a tree')[key][1])[0]}")["value"]
    assert value == list(getattr(Tree("any"), key))


@pytest.mark.parametrize("key", ["env_files", "deploy_timeout", "drain_timeout", "instances", "stop"])
def test_the_defaults_of_a_process_are_those_of_the_program(key: str) -> None:
    value = tomllib.loads(f"value = {code(told('Keys of a process')[key][1])[0]}")["value"]
    default = getattr(Process("any", "any"), key)
    assert (duration(value) if key.endswith("_timeout") else value) == (list(default) if value == [] else default)


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_each_example_loads(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "treeswap.toml"
    file.write_text(block.text)
    for env in [None, *tomllib.loads(block.text).get("env", {})]:
        assert config.load(file, env, {"HOME": "/home/ana"}).trees


def test_the_environments_do_what_is_told(home: Path) -> None:
    example = next(block for block in EXAMPLES if block.heading == "Environments")
    (home / "project").mkdir()
    (home / "project/treeswap.toml").write_text(example.text)
    reading = Reading()
    with Shell(home, [BIN]) as shell:
        shell.run("cd ~/project")
        for block in blocks(PAGE, "console"):
            reading.follow(shell, block)
