"""exec: a program that keeps its release, and whose exit code is its own."""

from __future__ import annotations

import subprocess

from .world import PROGRAM, World


def test_the_program_learns_what_it_runs_on(world: World) -> None:
    one, two = world.deploy("1"), world.deploy("2")
    script = 'echo "$TREESWAP_RELEASE_ID $TREESWAP_RELEASE $TREESWAP_SITE"; cat "$TREESWAP_RELEASE/apps/a"; exit 7'
    site = str(world.root / "srv/.treeswap/apps")
    done = world.run("exec", "--site", "srv/apps", "--", "sh", "-c", script, exits=7)
    assert done.out.split() == [two, f"{site}/releases/{two}", site, "2"]
    done = world.run("exec", "--release", one, "--site", "srv/apps", "--", "sh", "-c", script, exits=7)
    assert done.out.split() == [one, f"{site}/releases/{one}", site, "1"]
    assert world.run("exec", "--site", "srv/apps", "--", "echo", "--json", "-n").out == "--json -n\n"


def test_failures_of_its_own(world: World) -> None:
    assert world.run("exec", "--", "true", exits=125).err.startswith("error: no site here")
    world.deploy("1")
    world.run("exec", "--site", "srv/apps", exits=125)
    world.run("exec", "--release", "2020", "--site", "srv/apps", "--", "true", exits=125)
    assert world.run("exec", "--json", "--bogus", exits=125).json["error"]["code"] == "usage-error"
    (world.root / "plain").touch()
    assert world.run("exec", "--json", "--site", "srv/apps", "--", "./plain", exits=126).json
    assert world.run("exec", "--json", "--site", "srv/apps", "--", "no-such-program", exits=127).json
    world.run("exec", "--site", "srv/apps", "--", "sh", "-c", "kill -9 $$", exits=-9)


def test_its_release_stays_until_the_last_child_has_ended(world: World) -> None:
    one = world.deploy("1", "--keep", "1", "--grace", "0")
    # The program ends at once; what it started keeps the lease.
    with subprocess.Popen(
        [PROGRAM, "exec", "--site", "srv/apps", "--", "sh", "-c", "exec 3<&0; cat <&3 & echo $!"],
        cwd=world.root,
        env=world.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None and child.stdin is not None
        assert int(child.stdout.readline()) > 0
        for text in "234":
            world.deploy(text)
        assert one in releases(world)
        child.stdin.close()
        child.wait(60)
    world.run("prune", "--site", "srv/apps")
    assert one not in releases(world)


def releases(world: World) -> list[str]:
    return [row["id"] for row in world.run("releases", "--json", "--site", "srv/apps").json["releases"]]
