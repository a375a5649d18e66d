"""init, adopt, unadopt, config, stage, deploy, completion: what a site is set up with."""

from __future__ import annotations

import shutil
import subprocess
import tomllib

import pytest

from .world import World

CONFIG = """
name = "example.com"
deploy_to = "srv/site"
keep_releases = 3
grace = "0"

[trees.apps]
source = "b/apps"
path = "srv/apps"
exclude = ["*.pyc"]
shared = ["uploads/"]

[trees.conf]
source = "b/conf"

[commands]
after_switch = ["echo $TREESWAP_RELEASE_ID > ${WHERE}"]

[env.production]
grace = "2h"

[env.test]
"""


def configured(world: World) -> dict[str, str]:
    world.tree("b/apps", {"a": "1", "x.pyc": ""})
    world.tree("b/conf", {"c": "1"})
    (world.root / "treeswap.toml").write_text(CONFIG)
    return {"TREESWAP_ENV": "production", "WHERE": str(world.root / "said")}


SCATTERED = """
deploy_to = "srv/site"

[trees.apps]
source = "b/apps"
path = "srv/apps"
shared = ["data/"]

[trees.static]
path = "srv/static"

[trees.env]
source = "b/env"

[commands]
build = [{ run = "cp a {static}", writes = ["static", "apps/made"] }]

[processes.work]
command = "{env}/work"
"""


def test_what_is_live_is_adopted_and_the_rest_comes_with_the_next_deploy(world: World) -> None:
    for directory in ("srv/apps", "b/apps"):
        world.tree(directory, {"a": "1"})
    world.tree("b/env", {"work": "#!/bin/sh\nexec sleep 600\n"}).joinpath("work").chmod(0o755)
    (world.root / "treeswap.toml").write_text(SCATTERED)
    assert world.run("adopt", "-n", "--json").json["plan"]["changes"]
    adopted = world.run("adopt", "--json").json
    assert adopted["trees"] == {"apps": "kept"}
    assert world.shows() == "1" and not (world.root / "srv/static").exists()
    (world.root / "treeswap.toml").write_text(SCATTERED.partition("[processes")[0])
    done = world.run("deploy", "--json").json
    assert done["trees"] == dict.fromkeys(("apps", "static", "env"), "new")
    assert world.shows("static") == "1" and (world.root / "srv/apps/data").is_dir()


def test_a_deploy_from_the_configuration(world: World) -> None:
    env = configured(world)
    plan = world.run("deploy", "-n", "--json", env=env).json
    assert set(plan["plan"]["trees"]) == {"apps", "conf"} and not (world.root / "srv/site").exists()
    done = world.run("deploy", "--json", "--label", "v1", env=env).json
    assert done["trees"] == {"apps": "new", "conf": "new"}
    apps = world.root / "srv/apps"
    assert sorted(path.name for path in apps.iterdir()) == ["a", "uploads"]
    assert (world.root / "srv/site/current/conf/c").read_text() == "1"
    assert (world.root / "said").read_text().strip() == done["release"]
    (apps / "uploads/kept").touch()
    world.tree("b/apps", {"a": "2"})
    world.run("deploy", env=env)
    assert world.shows() == "2" and (apps / "uploads/kept").exists()
    world.run("switch", "v1", env=env)
    assert world.shows() == "1"


def test_the_two_halves_of_a_deploy(world: World) -> None:
    env = configured(world)
    world.run("deploy", env=env)
    world.tree("b/apps", {"a": "2"})
    staged = world.run("stage", "--json", "--label", "next", env=env).json
    assert staged["changed"] is True and staged["release"] != staged["current"] and world.shows() == "1"
    assert world.run("switch", "next", "--json", env=env).json["release"] == staged["release"]
    assert world.shows() == "2"


def test_an_environment_must_be_chosen(world: World) -> None:
    env = configured(world)
    del env["TREESWAP_ENV"]
    refused = world.run("deploy", env=env, exits=2)
    assert "production" in refused.err and "--env" in refused.err
    assert world.run("config", "--env", "test", "--json", env=env).json["config"]["grace"] == "0s"
    assert world.run("config", "--env", "production", "--json", env=env).json["config"]["grace"] == "2h"
    wrong = world.run("config", "--env", "prodution", "--json", env=env, exits=2).json
    assert wrong["error"]["code"] == "config-error" and "production" in wrong["error"]["hint"]


def test_config_prints_what_is_in_effect(world: World) -> None:
    env = configured(world)
    shown = world.run("config", "--json", env=env).json
    assert tomllib.loads(world.run("config", env=env).out) == shown["config"]
    assert (shown["env"], shown["config"]["keep_releases"]) == ("production", 3)
    assert shown["config"]["trees"]["apps"]["source"] == str(world.root / "b/apps")
    assert shown["config"]["commands"]["after_switch"] == [f"echo $TREESWAP_RELEASE_ID > {env['WHERE']}"]


def test_init_makes_a_site_from_the_configuration(world: World) -> None:
    env = configured(world)
    live = world.tree("srv/apps", {"a": "live"})
    assert "make the site" in world.run("init", "-n", env=env).out and not (world.root / "srv/site").exists()
    assert world.run("init", "--json", env=env).json["changed"] is True
    assert world.run("init", "--json", env=env).json["changed"] is False
    status = world.run("status", "--json", env=env).json
    assert status["current"] is None and status["name"] == "example.com" and set(status["trees"]) == {"apps", "conf"}
    assert not live.is_symlink() and world.shows() == "live"


def test_init_makes_a_site_from_dests(world: World) -> None:
    world.run("init", "web=srv/apps", "--deploy-to", "srv/mine")
    status = world.run("status", "--json", "--site", "srv/mine").json
    assert status["trees"]["web"]["path"] == str(world.root / "srv/apps")
    assert not (world.root / "srv/apps").exists()
    assert world.run("init", exits=2).err
    assert world.run("init", "--deploy-to", "srv/other", exits=2).err


def test_init_writes_out_what_a_site_remembers(world: World) -> None:
    world.deploy("1", "--keep", "7", "--grace", "5m", "--exclude", "*.pyc", "--shared", "apps/up/", "--after", "true")
    text = world.run("init", "--site", "srv/apps").out
    written = tomllib.loads(text)
    assert (written["keep_releases"], written["grace"]) == (7, "5m")
    assert written["trees"]["apps"]["exclude"] == ["*.pyc"] and written["trees"]["apps"]["shared"] == ["up/"]
    assert written["commands"]["after_switch"] == ["true"]
    world.run("init", "--site", "srv/apps", "--output", "treeswap.toml")
    assert (world.root / "treeswap.toml").read_text() == text
    assert "exists" in world.run("init", "--site", "srv/apps", "--output", "treeswap.toml", exits=2).err
    sourced = text.replace('# source = "DIRECTORY"', 'source = "b/apps"')
    (world.root / "treeswap.toml").write_text(sourced)
    assert world.run("deploy", "--json").json["changed"] is False
    world.tree("b/apps", {"a": "2"})
    world.run("deploy")
    assert world.shows() == "2"


def test_adopt_and_unadopt(world: World) -> None:
    live = world.tree("srv/apps", {"a": "live"})
    inode = (live / "a").stat().st_ino
    world.run("adopt", "-n", "srv/apps")
    assert not live.is_symlink()
    adopted = world.run("adopt", "web=srv/apps", "--json").json
    assert adopted["changed"] is True and live.is_symlink() and (live / "a").stat().st_ino == inode
    assert world.run("adopt", "srv/apps", "--json").json["changed"] is False
    row = world.run("releases", "--json", "--site", "srv/apps").json["releases"][0]
    assert row["kind"] == "adopted" and list(row["trees"]) == ["web"]
    world.run("unadopt", "-n", "--site", "srv/apps")
    assert live.is_symlink()
    world.run("unadopt", "--tree", "web", "--site", "srv/apps")
    assert not live.is_symlink() and world.shows() == "live"


def test_adopt_from_the_configuration(world: World) -> None:
    env = configured(world)
    config = CONFIG.replace('[trees.conf]\nsource = "b/conf"\n', "")
    (world.root / "treeswap.toml").write_text(config)
    live = world.tree("srv/apps", {"a": "live"})
    world.run("adopt", env=env)
    assert live.is_symlink() and world.shows() == "live"
    assert world.run("adopt", "--deploy-to", "x", exits=2).err


def test_check_says_what_would_stop_a_deploy(world: World) -> None:
    env = configured(world)
    assert world.run("check", "--json", env=env).json["findings"]
    world.run("deploy", env=env)
    assert all(f["ok"] is not False for f in world.run("check", "--json", env=env).json["findings"])
    shutil.rmtree(world.root / "b/conf")
    failed = world.run("check", "--json", env=env, exits=12).json
    assert any("b/conf" in finding["detail"] for finding in failed["findings"] if finding["ok"] is False)
    assert "FAILED" in world.run("check", env=env, exits=12).out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(world: World, shell: str) -> None:
    script = world.run("completion", shell).out
    assert f"_TREESWAP_COMPLETE={shell}_complete" in script
    assert world.run("completion", shell, "--json").json["script"].strip() == script.strip()
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_what_is_completed(world: World) -> None:
    one, two = world.deploy("1"), world.deploy("2")

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_TREESWAP_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return [item.partition(",")[2] for item in world.run(env=env).out.splitlines() if item]

    assert completed("treeswap ro") == ["rollback"]
    assert completed("treeswap demo") == [] and "status" in completed("treeswap ")
    assert completed("treeswap --site srv/apps switch 2") == [two, one]
    assert completed("treeswap verify --site srv/apps prev") == ["previous"]
    assert completed("treeswap unadopt --site srv/apps --tree ") == ["apps"]
    assert completed("treeswap switch ") == []
    assert "--leave-strays" in completed("treeswap copy --le")
