"""Which site a command is about, and how SRC:DEST is read."""

from __future__ import annotations

import shlex

import pytest

from treeswap.cli.pairs import parse_dest, parse_pair
from treeswap.errors import UsageError

from .world import World


def current(world: World, *words: str, **how: str) -> str:
    env = {name: value for name, value in how.items() if name.startswith("TREESWAP")}
    id = world.run("status", "--json", *words, cwd=how.get("cwd", "."), env=env).json["current"]
    assert isinstance(id, str)
    return id


def test_every_way_to_name_a_site(world: World) -> None:
    id = world.deploy("1")
    root = str(world.root)
    assert current(world, "--site", "srv/.treeswap/apps") == id
    assert current(world, "--site", "srv/apps/") == id
    assert current(world, "--site", "srv/apps/a") == id
    assert current(world, TREESWAP_SITE=f"{root}/srv/apps") == id
    assert current(world, TREESWAP_STATUS_SITE=f"{root}/srv/apps", TREESWAP_SITE=root) == id
    assert current(world, "--site", "srv/apps", TREESWAP_SITE=root) == id
    assert current(world, cwd="srv/apps") == id
    assert current(world, cwd="srv/.treeswap/apps/releases") == id
    assert world.run("--site", "srv/apps", "--json", "status").json["current"] == id
    assert world.run("status", cwd="srv", exits=10).err


def test_the_configuration_here_or_above_names_the_site(world: World) -> None:
    world.tree("project/apps", {"a": "1"})
    file = world.root / "project/treeswap.toml"
    file.write_text('[trees.apps]\nsource = "apps"\npath = "../srv/apps"\n')
    assert "no site at" in world.run("status", cwd="project", exits=10).err
    world.run("deploy", cwd="project/apps")
    assert world.shows() == "1"
    assert current(world, cwd="project/apps") == current(world, "--site", str(file))
    other = world.root / "other"
    other.mkdir()
    assert current(world, "--site", "../project/treeswap.toml", cwd="other")


def test_a_configuration_inside_a_release_is_content(world: World) -> None:
    text = '[trees.apps]\nsource = "."\npath = "/nowhere/apps"\n'
    world.tree("b/apps", {"a": "1", "treeswap.toml": text, "sub/x": ""})
    world.run("copy", "b/apps:srv/apps")
    assert "no treeswap.toml" in world.run("deploy", cwd="srv/apps/sub", exits=2).err
    assert current(world, cwd="srv/apps/sub") == current(world, "--site", "srv/apps/treeswap.toml")


def test_a_deploy_does_not_go_to_another_site_than_it_says(world: World) -> None:
    world.deploy("1")
    world.tree("p/x", {"a": "2"})
    (world.root / "p/treeswap.toml").write_text('[trees.x]\nsource = "x"\npath = "../srv/x"\n')
    refused = world.run("deploy", "--site", "../srv/apps", cwd="p", exits=2)
    assert "not for" in refused.err and not (world.root / "srv/x").exists()
    assert world.run("check", "--site", "../srv/apps", cwd="p")
    assert 'name = "apps"' in world.run("config", "--site", "../srv/apps", cwd="p").out


def test_a_working_directory_that_is_gone(world: World) -> None:
    import os
    import subprocess

    from .world import PROGRAM

    gone = world.tree("gone", {})
    script = f"cd {gone} && rmdir {gone} && exec {shlex.quote(PROGRAM)} status"
    done = subprocess.run(["sh", "-c", script], env=world.environ, capture_output=True, check=False, cwd=world.root)
    assert done.returncode == 2 and b"--site PATH" in done.stderr and b"Traceback" not in os.fsencode(done.stderr)


@pytest.mark.parametrize(
    ("word", "source", "dest", "name"),
    [
        ("a:/x/apps", "a", "/x/apps", None),
        ("a/:/x/apps//", "a", "/x/apps", None),
        ("web=a:/x/apps", "a", "/x/apps", "web"),
        ("./a=b:/x/apps", "a=b", "/x/apps", None),
        ("/d/a=b:/x/apps", "/d/a=b", "/x/apps", None),
        ("a:/x/k=v", "a", "/x/k=v", None),
        ("web=~/a:~/x", "HOME/a", "HOME/x", "web"),
    ],
)
def test_a_pair(word: str, source: str, dest: str, name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "HOME")
    pair = parse_pair(word)
    assert (str(pair.source), str(pair.path), pair.name) == (source, dest, name)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("a:b:c", "--tree SRC DEST"),
        ("a", "SRC"),
        (":b", "treeswap copy"),
        ("a:", "treeswap copy"),
        ("run=a:b", "NAME="),
        ("my tree=a:b", "NAME="),
    ],
)
def test_what_is_no_pair(word: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_pair(word)
    assert hint in f"{refused.value.message} {refused.value.hint}"


def test_a_dest() -> None:
    pair = parse_dest("web=/x/apps/")
    assert (pair.source, str(pair.path), pair.name) == (None, "/x/apps", "web")


def test_pairs_with_colons_are_two_words(world: World) -> None:
    world.tree("b/12:30", {"a": "1"})
    world.run("copy", "b/12:30:srv/apps", exits=2)
    world.run("copy", "--tree", "apps=b/12:30", "srv/x:y")
    assert world.shows("x:y") == "1"
    assert list(world.run("status", "--json", "--site", "srv/x:y").json["trees"]) == ["apps"]


def test_two_trees_of_one_name_are_told_apart_by_name(world: World) -> None:
    world.tree("b/x", {"a": "1"})
    (world.root / "srv/one").mkdir()
    (world.root / "srv/two").mkdir()
    refused = world.run("copy", "b/x:srv/one/x", "b/x:srv/two/x", exits=2)
    assert "NAME=" in refused.err
    world.run("copy", "b/x:srv/one/x", "second=b/x:srv/two/x")
    assert world.shows("two/x") == "1"
