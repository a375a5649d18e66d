"""The contract with scripts: exit codes, streams, and the fields of the JSON objects."""

from __future__ import annotations

import re
import shlex
import subprocess
from datetime import datetime

import pytest

from .world import PROGRAM, World

ID = re.compile(r"\d{14}")


def test_a_copy_tells_all_that_it_changed(world: World) -> None:
    world.tree("b/apps", {"a": "1", "b": "same"})
    world.tree("b/conf", {"c": "1"})
    first = world.run("copy", "b/apps:srv/apps", "b/conf:srv/conf", "--json").json
    world.tree("b/apps", {"a": "2"})
    second = world.run("copy", "b/apps:srv/apps", "b/conf:srv/conf", "--json").json
    assert ID.fullmatch(first["release"]) and first["current"] == first["release"] and first["previous"] is None
    assert second["previous"] == first["release"] < second["release"] == second["current"]
    assert second["changed"] is True
    assert second["trees"] == {"apps": "new", "conf": "kept"}
    assert second["files"] == {"linked": 0, "copied": 1, "removed": 1}
    assert datetime.fromisoformat(second["switched_at"]).tzinfo is not None and second["switched_at"].endswith("Z")
    assert {"check", "stage", "seal", "switch"} <= second["seconds"].keys()
    assert all(isinstance(seconds, float) for seconds in second["seconds"].values())
    assert world.shows() == "2"


def test_nothing_to_do_is_no_failure_and_makes_no_release(world: World) -> None:
    id = world.deploy("1")
    again = world.run("copy", "b/apps:srv/apps", "--json").json
    assert again["changed"] is False and again["release"] == again["current"] == id
    forced = world.run("copy", "b/apps:srv/apps", "--force", "--json").json
    assert forced["changed"] is True and forced["release"] > id


def test_the_summary_goes_to_stderr_and_says_how_to_go_back(world: World) -> None:
    world.deploy("1")
    world.tree("b/apps", {"a": "2"})
    told = world.run("copy", "b/apps:srv/apps")
    assert told.out == ""
    back = re.search(r"^to undo: treeswap (.*)$", told.err, re.MULTILINE)
    assert back and "apps  new" in told.err and "1 copied" in told.err
    world.run(*back[1].split())
    assert world.shows() == "1"
    world.tree("b/apps", {"a": "3"})
    assert world.run("copy", "b/apps:srv/apps", "-q") == type(told)(0, "", "")


def test_rollback_and_switch_and_where_they_end(world: World) -> None:
    one, two = world.deploy("1"), world.deploy("2")
    back = world.run("rollback", "--site", "srv/apps", "--json").json
    assert (back["release"], back["previous"], back["current"]) == (one, two, one) and world.shows() == "1"
    nowhere = world.run("rollback", "--site", "srv/apps", "--json", exits=15).json
    assert nowhere["error"]["code"] == "nothing-to-roll-back-to" and nowhere["current"] == one
    states = {row["id"]: row["state"] for row in world.run("--json", "releases", "--site", "srv/apps").json["releases"]}
    assert states == {one: "current", two: "bad"}
    world.run("switch", two, "--site", "srv/apps")
    assert world.shows() == "2"


def test_status_and_releases(world: World) -> None:
    one, two = world.deploy("1", "--label", "v1"), world.deploy("22", "--revision", "abc")
    status = world.run("status", "--json", "--site", "srv/apps").json
    assert (status["current"], status["previous"], status["rollback_to"]) == (two, one, one)
    assert (status["state"], status["lock"], status["hold"]) == ("rest", None, None)
    assert (status["processes"], status["maintenance"]) == ({}, None)
    assert status["trees"] == {"apps": {"path": str(world.root / "srv/apps"), "ok": True, "problem": None}}
    assert status["site"] == str(world.root / "srv/.treeswap/apps")
    newest, oldest = world.run("releases", "--json", "--site", "srv/apps").json["releases"]
    assert (newest["id"], newest["state"], newest["revision"]) == (two, "current", "abc")
    assert (oldest["id"], oldest["state"], oldest["label"]) == (one, "previous", "v1")
    assert newest["trees"]["apps"]["version"] == two and newest["trees"]["apps"]["bytes"] == 2
    assert newest["trees"]["apps"]["files"] == 1 and len(newest["trees"]["apps"]["digest"]) == 64
    assert newest["trees"]["apps"]["dir"] == f"{status['site']}/trees/apps/{two}"
    assert newest["kept_because"] and newest["by"] and newest["sealed_at"].endswith("Z")
    text = world.run("releases", "--site", "srv/apps").out
    assert text.index(two) < text.index(one) and "v1" in text and "abc" in text
    text = world.run("status", "--site", "srv/apps").out
    assert two in text and "at rest" in text and "srv/apps" in text


def test_diff_log_and_verify(world: World) -> None:
    one = world.deploy("1")
    world.tree("b/apps", {"a": "2", "new": ""})
    two = world.run("copy", "b/apps:srv/apps", "--json").json["release"]
    diff = world.run("diff", "--json", "--site", "srv/apps").json
    assert (diff["a"], diff["b"]) == (one, two)
    assert diff["trees"] == {"apps": {"added": ["new"], "changed": ["a"], "removed": []}}
    text = world.run("diff", two, one, "--site", "srv/apps").out
    assert "  - new" in text and "  ~ a" in text
    history = world.run("log", "--json", "--site", "srv/apps").json["history"]
    assert [entry["release"] for entry in history] == [one, two]
    assert world.run("verify", "--json", "--site", "srv/apps").json["problems"] == []

    file = world.root / "srv/apps/a"
    file.write_text("tampered")
    found = world.run("verify", "--json", "--site", "srv/apps", exits=16).json
    assert [(p["tree"], p["version"], p["path"]) for p in found["problems"]] == [("apps", two, "a")]
    assert found["error"]["code"] == "verification-failed"
    world.run("verify", one, "--site", "srv/apps")
    told = world.run("verify", "--site", "srv/apps", exits=16)
    assert "changed  apps" in told.out and "error:" in told.err and f"current: {two}" in told.err


def test_a_plan_touches_nothing(world: World) -> None:
    world.tree("b/apps", {"a": "1"})
    live = world.tree("srv/apps", {"a": "live", "only": ""})
    plan = world.run("copy", "-n", "b/apps:srv/apps", "--json").json
    assert plan["dry_run"] is True and plan["changed"] is False and plan["plan"]["changes"] is True
    tree = plan["plan"]["trees"]["apps"]
    assert (tree["state"], tree["adopts"], tree["only_live"]) == ("new", True, ["only"])
    assert "only" in world.run("copy", "-n", "b/apps:srv/apps").out
    assert not live.is_symlink() and not (world.root / "srv/.treeswap").exists()

    world.run("copy", "b/apps:srv/apps", "--adopt")
    world.tree("b/apps", {"a": "2"})
    before = snapshot(world)
    for words in (
        ["copy", "b/apps:srv/apps"],
        ["rollback"],
        ["prune", "--keep", "1", "--grace", "0"],
        ["unadopt"],
        ["recover"],
        ["lock", "-m", "x"],
        ["unlock"],
        ["switch", "previous"],
    ):
        assert world.run(*words, "-n", "--site", "srv/apps").out
        assert snapshot(world) == before, words


def snapshot(world: World) -> str:
    words = ["find", "srv", "-printf", "%p %i %s %T@ %l\n"]
    return subprocess.run(words, cwd=world.root, capture_output=True, text=True, check=True).stdout


def test_prune_tells_why(world: World) -> None:
    ids = [world.deploy(text) for text in "123"]
    plan = world.run("prune", "-n", "--keep", "1", "--grace", "0", "--json", "--site", "srv/apps").json
    assert plan["dry_run"] is True and plan["removed"] == [ids[0]] and plan["changed"] is False
    done = world.run("prune", "--keep", "1", "--grace", "0", "--json", "--site", "srv/apps").json
    assert (done["changed"], done["removed"], done["decisions"]) == (True, plan["removed"], plan["decisions"])
    assert all(decision["because"] for decision in done["decisions"])
    refused = world.run("prune", "current", "--site", "srv/apps", exits=2)
    assert ids[2] in refused.err


def test_a_hold_refuses_changes_until_it_is_ended(world: World) -> None:
    world.deploy("1")
    world.run("lock", "-m", "migration", "--site", "srv/apps")
    assert world.run("status", "--json", "--site", "srv/apps").json["hold"]["why"] == "migration"
    world.tree("b/apps", {"a": "2"})
    held = world.run("copy", "b/apps:srv/apps", "--json", exits=11).json
    assert held["error"]["code"] == "held" and "migration" in held["error"]["message"]
    assert world.run("unlock", "--json", "--site", "srv/apps").json["changed"] is True
    assert world.run("unlock", "--json", "--site", "srv/apps").json["changed"] is False
    world.run("copy", "b/apps:srv/apps")


def test_what_fails_after_the_switch_is_17_and_its_output_is_kept(world: World) -> None:
    world.tree("b/apps", {"a": "1"})
    failed = world.run("copy", "b/apps:srv/apps", "--after", "echo oh no; false", "--json", exits=17).json
    assert world.shows() == "1" and failed["error"]["code"] == "later-step-failed"
    hint = re.search(r"treeswap log (\d+)", failed["error"]["hint"])
    assert hint and hint[1] == failed["current"]
    assert "oh no" in world.run("log", hint[1], "--site", "srv/apps").out
    assert "oh no" in world.run("log", hint[1], "--site", "srv/apps", "--json").json["commands"][0]["output"]


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["copy", "b/apps"], 2, "usage-error"),
        (["copy", "b/missing:srv/apps"], 12, "source-refused"),
        (["copy", "--keep", "none", "b/apps:srv/apps"], 2, "usage-error"),
        (["status", "--no-such-flag"], 2, "usage-error"),
        (["--no-such-flag"], 2, "usage-error"),
        (["statsu"], 2, "usage-error"),
        ([], 2, "usage-error"),
        (["restore", "apps"], 2, "usage-error"),
        (["status", "--site", "b"], 10, "not-a-site"),
        (["rollback"], 10, "not-a-site"),
        (["deploy"], 2, "usage-error"),
        (["log", "20200101000000", "--site", "srv/live"], 2, "no-such-release"),
        (["copy", "b/apps:srv/file"], 12, "destination-refused"),
        (["copy", "b/apps:srv/fresh", "--grace", "soon"], 2, "usage-error"),
    ],
)
def test_refusals_in_both_forms(world: World, words: list[str], code: int, name: str) -> None:
    world.tree("b/apps", {"a": "1"})
    (world.root / "srv/file").touch()
    world.run("copy", "b/apps:srv/live")
    text = world.run(*words, exits=code)
    assert text.out == "" and "error: " in text.err and "Traceback" not in text.err
    assert "Usage:" not in text.err or not words
    refused = world.run("--json", *words, exits=code)
    assert refused.json["error"]["code"] == name and refused.json["error"]["message"]
    assert "error: " in refused.err


def test_errors_are_told_in_parts(world: World) -> None:
    id = world.deploy("1")
    (world.root / "b/apps/a").unlink()
    (world.root / "b/apps").rmdir()
    error = world.run("copy", "b/apps:srv/apps", exits=12).err.splitlines()
    assert error[0].startswith("error: ") and "b/apps" in error[0]
    assert error[-1] == f"current: {id}"
    hint = world.run("rolback", exits=2).err
    assert "hint: did you mean treeswap rollback?" in hint
    assert "treeswap rollback" in world.run("restore", exits=2).err


def test_the_answer_may_go_to_nobody(world: World) -> None:
    world.deploy("1")
    program = shlex.quote(PROGRAM)
    pipe = f"{program} releases --site srv/apps | true; exec {program} status --site srv/apps >&-"
    done = subprocess.run(["sh", "-c", pipe], cwd=world.root, env=world.environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    full = f"{program} status --site srv/apps > /dev/full"
    done = subprocess.run(["sh", "-c", full], cwd=world.root, env=world.environ, capture_output=True, check=False)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"No space left" in done.stderr


def test_colours_belong_on_a_terminal_only(world: World) -> None:
    assert "\x1b" not in world.run("status", exits=10).err


def test_names_with_any_bytes(world: World) -> None:
    source = world.tree("b/apps", {"a": "1"})
    strange = b"caf\xe9\nline"
    (source / strange.decode(errors="surrogateescape")).write_text("x")
    world.run(b"copy", b"\xff=1:b/apps:srv/x", exits=2)
    first = world.run(b"copy", b"b/apps:srv/\xff", "--json", exits=2)
    assert "NAME=" in first.json["error"]["hint"]
    world.run(b"copy", b"odd=b/apps:srv/\xff")
    listed = world.run("status", "--json", b"--site", b"srv/\xff").json["trees"]["odd"]["path"]
    assert listed == str(world.root / "srv/\udcff")
    (source / strange.decode(errors="surrogateescape")).unlink()
    world.run(b"copy", b"odd=b/apps:srv/\xff")
    removed = world.run("diff", b"--site", b"srv/\xff")
    assert "  - caf\\xe9\\nline\n" in removed.out
    assert world.run("diff", b"--site", b"srv/\xff", "--json").json["trees"]["odd"]["removed"] == ["caf\udce9\nline"]


def test_every_option_has_an_environment_variable(world: World) -> None:
    world.tree("b/apps", {"a": "1", "x y": "", "z": "", "up/f": ""})
    env = {
        "TREESWAP_COPY_KEEP": "9",
        "TREESWAP_COPY_GRACE": "2m",
        "TREESWAP_COPY_AFTER": "echo one two\ntrue",
        "TREESWAP_COPY_EXCLUDE": "x y\nz",
        "TREESWAP_COPY_SHARED": "apps/up/",
        "TREESWAP_COPY_LABEL": "v1",
        "TREESWAP_COPY_DEPLOY_TO": str(world.root / "srv/there"),
        "TREESWAP_JSON": "1",
    }
    assert world.run("copy", "b/apps:srv/apps", env=env).json["changed"] is True
    there = {"TREESWAP_SITE": str(world.root / "srv/there")}
    shown = world.run("config", "--json", env=there).json["config"]
    assert (shown["keep_releases"], shown["grace"]) == (9, "2m")
    assert shown["commands"]["after_switch"] == ["echo one two", "true"]
    assert (shown["trees"]["apps"]["exclude"], shown["trees"]["apps"]["shared"]) == (["x y", "z"], ["up/"])
    assert world.run("releases", "--json", env=there).json["releases"][0]["label"] == "v1"
