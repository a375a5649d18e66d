"""Builds run in the stage, at its final path, and reach nothing of what is being served."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import treeswap
from bench import as_nobody, inodes, read_tree
from builder import Builder
from filesystems import CannotMount, Mounts, without
from treeswap import commands
from treeswap.commands import Confinement, can_confine
from treeswap.release import Command, Tree

STATIC = Command("cat *.css > {media}/all.css", "apps", ("media",))


@pytest.fixture(params=["confined", "unconfined"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both where namespaces are allowed and where not."""
    if request.param == "unconfined":
        monkeypatch.setattr("treeswap.site.building.can_confine", lambda _: False)


@pytest.mark.usefixtures("anywhere")
def test_a_build_makes_one_tree_of_another(builder: Builder) -> None:
    builder.builds(STATIC).deploy()
    bench = builder.bench.shows(apps={"a.css": "red", "b.css": "blue"}, media={"all.css": "redblue"})
    bench.tree("apps", {"a.css": "green", "b.css": "blue"})
    builder.deploy()
    bench.shows(media={"all.css": "greenblue"}).rests()
    bench.rollback().shows(media={"all.css": "redblue"}).rests()


@pytest.mark.usefixtures("anywhere")
def test_what_comes_out_as_it_was_keeps_its_version(builder: Builder) -> None:
    first = builder.builds(STATIC).deploy().bench.current
    media = inodes(builder.bench.world / "media")
    assert not builder.deploy().outcome.changed
    builder.bench.tree("apps", {"a.css": "red", "b.css": "blue", "c.txt": "new"})
    assert builder.deploy().outcome.trees == {"apps": "new", "media": "kept"}
    assert builder.bench.current != first and inodes(builder.bench.world / "media") == media
    builder.bench.rests()


def test_builds_that_change_nothing_make_no_release(builder: Builder) -> None:
    first = builder.builds(STATIC).deploy().bench.current
    builder.builds(Command("sort -r *.css > /dev/null; cat a.css b.css > {media}/all.css", "apps", ("media",)))
    assert not builder.deploy().outcome.changed
    assert builder.bench.current == first
    builder.bench.rests()
    assert builder.deploy(force=True).outcome.changed
    builder.bench.rests()


def test_a_changed_command_builds_anew(builder: Builder) -> None:
    builder.builds(STATIC).deploy()
    builder.builds(Command("cat b.css a.css > {media}/all.css", "apps", ("media",))).deploy()
    builder.bench.shows(apps={"a.css": "red", "b.css": "blue"}, media={"all.css": "bluered"}).rests()
    assert not builder.deploy().outcome.changed


def test_a_build_that_is_gone_leaves_nothing(builder: Builder) -> None:
    builder.builds("touch built").deploy()
    assert "built" in read_tree(builder.bench.world / "apps")
    builder.builds().deploy()
    builder.bench.shows(apps={"a.css": "red", "b.css": "blue"}).rests()


@pytest.mark.usefixtures("anywhere")
def test_what_a_build_writes_to_is_linked_with_nothing(builder: Builder) -> None:
    """Invariant 2: what a build may write is never a hard link of a sealed file."""
    builder.builds("for f in *.css; do echo , >> $f; done").deploy()
    bench = builder.bench.shows(apps={"a.css": "red,\n", "b.css": "blue,\n"})
    before = inodes(bench.slot("apps"))
    old = bench.slot("apps")
    bench.tree("apps", {"a.css": "red", "b.css": "black"})
    builder.deploy()
    assert inodes(old) == before
    bench.shows(apps={"a.css": "red,\n", "b.css": "black,\n"}).rests()
    assert not builder.deploy().outcome.changed


@pytest.mark.usefixtures("anywhere")
def test_a_file_that_no_build_wrote_to_before_is_no_link_either(builder: Builder) -> None:
    old = builder.builds("true").deploy().bench.slot("apps")
    before = inodes(old)
    builder.builds("echo , >> a.css; chmod 600 b.css").deploy()
    assert inodes(old) == before and (old / "a.css").read_text() == "red"
    builder.bench.shows(apps={"a.css": "red,\n", "b.css": "blue"}).rests()


def test_only_the_path_that_is_written_to_is_copied(builder: Builder) -> None:
    builder.builds(Command("date +%N > out/stamp", "apps", ("apps/out",))).deploy()
    bench = builder.bench
    bench.tree("apps", {"a.css": "red", "b.css": "white"})
    builder.deploy()
    old, new = (bench.slot("apps", id) for id in bench.ids)
    assert (old / "a.css").stat().st_ino == (new / "a.css").stat().st_ino
    builder.builds(Command("echo > a.css", "apps", ("apps/out",))).deploy(exits=12)
    assert builder.bench.error is not None and (old / "a.css").read_text() == "red"
    bench.rests()


@pytest.mark.usefixtures("anywhere")
def test_a_build_that_names_the_public_path_cannot_spoil_what_is_served(
    builder: Builder, request: pytest.FixtureRequest
) -> None:
    """An absolute STATIC_ROOT: where namespaces are allowed it means the stage."""
    world = builder.bench.world
    build = Command(f"cat *.css > {world}/media/all.css && ls -l $TREESWAP_SITE/current", "apps", ("media",))
    confined = "unconfined" not in request.node.name
    if confined:
        builder.builds(build).deploy()
        builder.bench.shows(media={"all.css": "redblue"})
    else:
        builder.builds(STATIC).deploy()
        builder.builds(build)
    first, inode = builder.bench.current, (world / "media/all.css").stat().st_ino
    builder.bench.tree("apps", {"a.css": "green"})
    builder.deploy(exits=0 if confined else 12)
    if confined:
        builder.bench.shows(media={"all.css": "green"}).rests()
        assert (builder.bench.slot("media", first) / "all.css").stat().st_ino == inode
    else:
        builder.bench.says("what is being served changed", f"trees/media/{first}/all.css")
        assert builder.bench.current == first


def test_a_live_directory_shows_the_stage_to_a_build(builder: Builder) -> None:
    bench = builder.bench.live("media", {"old.css": "live"})
    build = Command(f"cat *.css > {bench.world}/media/all.css", "apps", ("media",))
    builder.builds(build).deploy(adopt=True)
    bench.shows(media={"all.css": "redblue"}).rollback().shows(media={"old.css": "live"})


@pytest.mark.usefixtures("anywhere")
def test_other_trees_are_not_for_a_build_to_write(builder: Builder) -> None:
    builder.builds(Command("cat a.css > {media}/all.css; echo x > {apps}/a.css", "apps", ("media",))).deploy(exits=12)
    assert not (builder.bench.world / "apps").exists() and not os.path.lexists(builder.bench.world / "media")
    builder.builds(STATIC).deploy().bench.rests()


@pytest.mark.usefixtures("anywhere")
def test_a_build_that_fails_switches_nothing_and_its_output_is_kept(builder: Builder) -> None:
    bench = builder.builds(STATIC).deploy().bench
    first = bench.current
    builder.builds("echo made; echo no >&2; exit 3").deploy(exits=12)
    bench.says("`echo made; echo no >&2; exit 3` (build) failed with exit code 3", "treeswap log ")
    assert bench.current == first and bench.error and bench.error.hint
    id = bench.error.hint.split()[-1]
    assert [log.text for log in bench.site.command_logs(id)] == ["$ echo made; echo no >&2; exit 3\nmade\nno\n"]
    bench.rests()


def test_a_build_that_takes_too_long_is_stopped(builder: Builder) -> None:
    builder.builds(Command("echo $$ > pid; sleep 600 & sleep 600", timeout=0.3)).deploy(exits=12)
    builder.bench.says("took longer than 0.3 s")


def test_what_a_build_leaves_in_the_background_ends_with_it(builder: Builder) -> None:
    """A version must never change once it is sealed."""
    builder.builds("(while :; do date >> ticking; sleep 0.01; done) > /dev/null 2>&1 & sleep 0.2").deploy()
    builder.bench.rests()


def test_what_commands_are_told(builder: Builder) -> None:
    builder.builds(Command('echo {apps} {site} {release} {other} ${apps} "$(env | grep ^TREESWAP | sort)" > told'))
    bench = builder.deploy().bench
    id, site = bench.current, bench.site_root
    told = (bench.world / "apps/told").read_text().split()
    assert told == [
        f"{site}/trees/apps/{id}", str(site), f"{site}/releases/{id}", "{other}",
        "TREESWAP_PREVIOUS=", f"TREESWAP_RELEASE={site}/releases/{id}", f"TREESWAP_RELEASE_ID={id}",
        f"TREESWAP_SITE={site}", f"TREESWAP_TREE_APPS={site}/trees/apps/{id}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (Command("mkfifo pipe"), "cannot be released"),
        (Command("rm up; mkdir up", writes=("apps",)), "replaced up in apps"),
    ],
)
def test_what_a_build_must_not_leave(builder: Builder, command: Command, problem: str) -> None:
    builder.trees["apps"] = Tree("apps", builder.bench.world / "apps", shared=("up/",))
    builder.builds(command).deploy(exits=12)
    builder.bench.says(problem)


def test_what_a_package_manager_links_from_its_cache_is_ours_alone(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace's mounts refuse such links."""
    monkeypatch.setattr("treeswap.site.building.can_confine", lambda _: False)
    cache = builder.bench.root / "cache"
    cache.write_text("package")
    os.utime(cache, (1, 1))
    builder.builds(f"ln {cache} package").deploy()
    assert (builder.bench.world / "apps/package").read_text() == "package"
    assert (cache.stat().st_nlink, cache.stat().st_mtime) == (1, 1)
    builder.bench.rests()


def test_what_a_build_makes_as_it_was_keeps_its_time(builder: Builder) -> None:
    bench = builder.builds("cat a.css > made; date +%N > stamp").deploy().bench
    time = (bench.world / "apps/made").stat().st_mtime_ns
    bench.tree("apps", {"a.css": "red", "b.css": "white"})
    builder.deploy()
    assert (bench.world / "apps/made").stat().st_mtime_ns == time
    bench.rests()


def test_what_a_build_finds_of_the_release_before_is_as_old_as_it_was(builder: Builder) -> None:
    """Builds such as make and collectstatic leave alone what is younger than what it is made of."""
    bench, made = builder.bench, builder.bench.world / "media/all.css"
    made.parent.mkdir()
    made.write_text("red")
    bench.adopt("media")
    collect = Command("stat -c %y {media}/all.css > age; cat a.css > {media}/all.css", "apps", ("apps", "media"))
    for text in ("blue", "green", "white"):
        before = subprocess.run(["stat", "-L", "-c", "%y", made], check=True, capture_output=True, text=True).stdout
        builder.says(text).builds(collect).deploy()
        assert (bench.world / "apps/age").read_text() == before
        assert made.read_text() == text
    bench.rests()


def test_a_build_goes_on_in_a_tree_that_is_not_named(builder: Builder) -> None:
    """`copy` names one tree; what builds write to the other ones is made anew, from what no build brought there."""
    bench = builder.builds(STATIC, Command("ls > {apps}/list", "media", ("apps",))).deploy().bench
    bench.tree("other", {"x": "1"}, bench.world / "other")
    bench.deploy("other", add=True)
    bench.shows(apps={"a.css": "red", "b.css": "blue", "list": "all.css\n"}, media={"all.css": "redblue"}).rests()


def test_plans_name_the_builds_and_run_none(builder: Builder) -> None:
    plan = builder.bench.site.plan(builder.builds(STATIC).request())
    assert "build: cat *.css > {media}/all.css (in apps)" in plan.steps
    assert not builder.bench.site_root.exists() and not list(builder.bench.world.iterdir())


def test_modes_of_what_commands_leave(builder: Builder) -> None:
    builder.builds("umask 077; mkdir closed; touch closed/file").deploy()
    made = builder.bench.world / "apps/closed"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert commands.TIMED_OUT == 124


def interpreter_of_nobody() -> str:
    """A Python that an ordinary user may run, and that finds the product; the tests' own may lie in root's home."""
    boot = (
        f"import sys; sys.path.insert(0, {str(Path(treeswap.__file__).parents[1])!r}); import treeswap.commands.guard"
    )
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            subprocess.run([python, "-I", "-S", "-c", boot], check=True, user="nobody" if os.geteuid() == 0 else None)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    without(CannotMount("no Python 3.11 that an ordinary user may run"))
    raise AssertionError


def test_an_ordinary_user_builds(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", interpreter_of_nobody())
    bench = builder.bench
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", bench.root], check=True)
    media = bench.world / "media/all.css"

    def story() -> None:
        builder.builds(STATIC).deploy()
        first = bench.current
        builder.says("green").builds(Command(f"cat *.css > {media}; id -u > {{media}}/who", "apps", ("media",)))
        if can_confine(Confinement(bench.site_root, first)):
            builder.deploy().bench.shows(media={"all.css": "green", "who": f"{os.geteuid()}\n"}).rests()
            assert (bench.slot("media", first) / "all.css").read_text() == "redblue"
        else:
            builder.deploy(exits=12)
            assert bench.current == first

    as_nobody(story)


def test_where_namespaces_are_allowed_they_are_used(builder: Builder) -> None:
    bench = builder.builds(STATIC).deploy().bench
    if os.geteuid() == 0 and not can_confine(Confinement(bench.site_root, bench.current)):
        pytest.skip("this machine allows root no mount namespaces")
    builder.builds(f"! touch {bench.site_root}/trees/media/{bench.current}/x && ! touch {{media}}/x").deploy()
    assert not (bench.world / "media/x").exists()


@pytest.mark.parametrize("tree", ["apps", "media"])
def test_a_damaged_manifest_of_what_was_before_the_build(builder: Builder, tree: str) -> None:
    bench = builder.builds(STATIC, "touch built").deploy().bench
    file = bench.site.layout.sourced(tree, bench.current)
    file.write_bytes(file.read_bytes()[:-9])
    assert [problem.kind for problem in bench.site.verify().problems] == ["damaged"]
    builder.says("green").deploy(exits=12)
    bench.says("is damaged", "--force")
    builder.deploy(force=True)
    bench.shows(apps={"a.css": "green", "built": ""}, media={"all.css": "green"})


@pytest.mark.usefixtures("anywhere")
def test_what_python_writes_by_itself_is_no_change(builder: Builder) -> None:
    """`manage.py collectstatic` in one tree, for another one."""
    bench = builder.bench.tree("apps", {"m/__init__.py": "css = 'red'", "a.css": "red"})
    import_it = "import sys; sys.dont_write_bytecode = False; import m; print(m.css)"
    builder.builds(
        Command(f'{shlex.quote(sys.executable)} -c "{import_it}" > {{media}}/all.css', "apps", ("media",))
    ).deploy()
    bench.tree("apps", {"m/__init__.py": "css = 'green'", "a.css": "red"})
    builder.deploy()
    bench.shows(media={"all.css": "green\n"}).rests()


@pytest.mark.usefixtures("anywhere")
def test_a_tree_on_another_filesystem(builder: Builder, mounts: Mounts) -> None:
    media = mounts.directory("xfs") / "media"
    builder.trees["media"] = Tree("media", media)
    bench = builder.bench
    bench.paths["media"] = media
    builder.builds(STATIC).deploy()
    first = bench.current
    bench.shows(media={"all.css": "redblue"}).rests()
    builder.says("green").deploy()
    bench.shows(media={"all.css": "green"}).rests()
    builder.builds(STATIC, f"echo spoilt > {bench.slot('media')}/all.css").says("black").deploy(exits=12)
    assert bench.site.status().current != first
