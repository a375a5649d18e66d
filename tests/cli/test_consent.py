"""What needs a person's yes: asked for at a terminal, by flags elsewhere."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess

import pytest

from .world import PROGRAM, World


def at_a_terminal(world: World, answer: str, *words: str) -> tuple[int, str]:
    """Runs treeswap on a terminal of its own, answers its first question, and gives its exit code and all it said."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        ["setsid", "--ctty", PROGRAM, *words],
        cwd=world.root,
        env=world.environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        said = heard(master, until=b"[y/N]")
        os.write(master, answer.encode())
        # A ^C that comes just before the program begins to wait for the answer is noticed with the next one only.
        said += heard(master, until=None, nudge=b"\x03" if answer == "\x03" else b"")
        return child.wait(60), said.decode()
    finally:
        child.kill()
        child.wait()
        os.close(master)


def heard(terminal: int, until: bytes | None, nudge: bytes = b"") -> bytes:
    """What is said until these words, or until nobody is left who could say anything. `nudge` is typed into silence."""
    said = b""
    silence = 0
    while until is None or until not in said:
        ready, _, _ = select.select([terminal], [], [], 6)
        if not ready:
            silence += 1
            assert silence < 10, said
            os.write(terminal, nudge)
            continue
        try:
            said += os.read(terminal, 65536)
        except OSError:
            assert until is None, said
            break
    return said


def test_elsewhere_the_hint_is_the_command_to_run(world: World) -> None:
    world.tree("b/my apps", {"a": "1"})
    live = world.tree("srv/apps", {"a": "live", "uploads/x": "1"})
    refused = world.run("copy", "b/my apps:srv/apps", "--json", exits=2).json
    assert refused["error"]["code"] == "consent-needed" and "uploads" in refused["error"]["message"]
    assert not live.is_symlink() and not (world.root / "srv/.treeswap").exists()
    words = shlex.split(refused["error"]["hint"])
    assert words[0] == "treeswap" and "--adopt" in words
    world.run(*words[1:])
    assert live.is_symlink() and world.shows() == "1"


def test_joining_a_site_needs_a_yes_too(world: World) -> None:
    world.deploy("1")
    world.tree("b/conf", {"c": "1"})
    words = ["copy", "b/conf:srv/conf", "--deploy-to", "srv/.treeswap/apps"]
    refused = world.run(*words, exits=2)
    assert f"hint: treeswap {shlex.join(words)} --add" in refused.err
    world.run(*words, "--add")
    assert set(world.run("status", "--json", "--site", "srv/conf").json["trees"]) == {"apps", "conf"}


@pytest.mark.parametrize(("answer", "code", "shown"), [("y\n", 0, "1"), ("n\n", 2, "live"), ("\n", 2, "live")])
def test_a_terminal_is_asked(world: World, answer: str, code: int, shown: str) -> None:
    world.tree("b/apps", {"a": "1"})
    world.tree("srv/apps", {"a": "live", "only": ""})
    exited, said = at_a_terminal(world, answer, "copy", "b/apps:srv/apps")
    assert (exited, world.shows()) == (code, shown)
    assert "--shared apps/only" in said
    assert ("error:" in said) == (code != 0)


def test_a_question_can_be_interrupted(world: World) -> None:
    world.tree("b/apps", {"a": "1"})
    world.tree("srv/apps", {"a": "live"})
    assert at_a_terminal(world, "\x03", "copy", "b/apps:srv/apps")[0] == 130
    assert world.shows() == "live" and not (world.root / "srv/.treeswap").exists()


def test_a_first_switch_after_stage_asks_like_a_copy(world: World) -> None:
    world.tree("b/apps", {"a": "1"})
    live = world.tree("srv/apps", {"a": "live"})
    (world.root / "treeswap.toml").write_text('[trees.apps]\nsource = "b/apps"\npath = "srv/apps"\n')
    world.run("stage", "--adopt")
    assert world.shows() == "live" and not live.is_symlink()
    id = world.run("releases", "--json").json["releases"][0]["id"]
    assert "--adopt" in world.run("switch", id, exits=2).err
    assert at_a_terminal(world, "y\n", "switch", id)[0] == 0
    assert world.shows() == "1" and live.is_symlink()
