"""What is refused: one clear error with names, nothing switched, nothing left behind."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import treeswap
from bench import Bench, as_nobody, snapshot, untouched
from callers import callers
from filesystems import CannotMount, mounted, unmount, without
from treeswap import durable
from treeswap.errors import (
    DestinationRefused,
    Failed,
    NoSpace,
    PlaceRefused,
    SourceRefused,
    TreeswapError,
    UsageError,
)
from treeswap.places import filesystems
from treeswap.site import Pair


@pytest.fixture(params=["first", "later"])
def ready(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """A bench before its first deploy, and one that has a release and a source that differs."""
    if request.param == "later":
        bench.version("v1").deploy()
    return bench.version("v2")


def refused(bench: Bench, kind: type[TreeswapError], *parts: str, pairs: list[Pair] | None = None) -> None:
    """The deploy is refused like this, twice alike, and nothing has come of it."""
    with untouched(bench):
        for _ in range(2):
            with pytest.raises(TreeswapError) as told:
                site = bench.site
                site.deploy(site.request_for(pairs) if pairs is not None else bench.request())
            error = told.value
            assert type(error) is kind, f"{type(error).__name__}: {error}"
            text = "\n".join(filter(None, (error.message, error.hint, error.cause)))
            for part in parts:
                assert part in text, text
            assert error.message[0].islower() or error.message[0] in "/'0123456789", "a sentence to follow `error:`"


# ---------------------------------------------------------------- sources


def test_a_missing_source(ready: Bench) -> None:
    shutil.rmtree(ready.work / "conf")
    refused(ready, SourceRefused, str(ready.work / "conf"), "does not exist")


def test_a_source_that_is_a_file(ready: Bench) -> None:
    shutil.rmtree(ready.work / "conf")
    (ready.work / "conf").touch()
    refused(ready, SourceRefused, str(ready.work / "conf"), "not a directory")


def test_every_unreadable_path_is_named_up_to_ten(bench: Bench) -> None:
    bench.version("v1")
    for number in range(12):
        (bench.work / f"apps/closed{number:02}").touch(0o000)
    for directory in (bench.root, bench.world, bench.work):
        os.chmod(directory, 0o777)

    def story() -> None:
        refused(bench, SourceRefused, "12 paths", "closed00: ", "closed09: ", "and 2 more", "--exclude")

    as_nobody(story)


def test_an_unreadable_source(bench: Bench) -> None:
    bench.version("v1")
    (bench.work / "apps").chmod(0)
    os.chmod(bench.root, 0o777)
    os.chmod(bench.world, 0o777)

    def story() -> None:
        bench.deploy(exits=12).says("work/apps", "cannot be read")
        assert isinstance(bench.error, SourceRefused) and not bench.site_root.exists()

    as_nobody(story)


def test_fifos_sockets_and_devices(ready: Bench) -> None:
    os.mkfifo(ready.work / "apps/a fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(ready.work / "apps/sub/a socket"))
    names = ["a fifo", "sub/a socket"]
    if os.geteuid() == 0:
        os.mknod(ready.work / "apps/a device", 0o020600, os.makedev(1, 3))
        names.append("a device")
    refused(ready, SourceRefused, f"{len(names)} paths", *names)
    listener.close()


@pytest.mark.parametrize("relation", ["is", "contains", "lies in"])
@pytest.mark.parametrize("place", ["SITE", "its own DEST", "another DEST"])
def test_a_source_and_a_place_of_the_deploy_in_each_other(bench: Bench, place: str, relation: str) -> None:
    bench.version("v1").deploy().version("v2")
    here = {"SITE": bench.site_root, "its own DEST": bench.world / "apps", "another DEST": bench.world / "media"}[place]
    source = {"is": here, "contains": here.parent, "lies in": here / "sub"}[relation]
    if place == "SITE" and relation == "lies in":
        source = bench.slot("apps") / "sub"
    pairs = [Pair(source, bench.world / "apps")]
    words = (str(source), {"is": " is ", "contains": " contains ", "lies in": " lies in "}[relation])
    refused(bench, SourceRefused, *words, pairs=pairs)


def test_a_source_reached_through_a_symlink_is_judged_by_where_it_is(bench: Bench) -> None:
    bench.version("v1").deploy()
    (bench.work / "sly").symlink_to(bench.world / "media")
    refused(bench, SourceRefused, "public path", pairs=[Pair(bench.work / "sly", bench.world / "apps")])


def test_a_source_that_never_holds_still(ready: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if somebody wrote to it between any two looks; a real writer is not fast enough on a busy machine."""
    monkeypatch.setattr("treeswap.scan.reading._unchanged", lambda before, after: False)
    monkeypatch.setattr("treeswap.scan.reading._PAUSES", (0.0,))
    refused(ready, SourceRefused, "does not hold still", "f", "apps")


# ---------------------------------------------------------------- destinations


def pairs_to(bench: Bench, *dests: str) -> list[Pair]:
    names = ("apps", "conf", "media")
    return [Pair(bench.work / name, bench.root / dest, name) for name, dest in zip(names, dests, strict=False)]


def test_a_destination_named_twice(bench: Bench) -> None:
    bench.version("v1")
    refused(bench, UsageError, "world/a", "twice", pairs=pairs_to(bench, "world/a", "world/a"))


def test_a_destination_named_twice_by_different_roads(bench: Bench) -> None:
    bench.version("v1")
    (bench.root / "road").symlink_to("world")
    refused(bench, UsageError, "world/a", "twice", pairs=pairs_to(bench, "world/a", "road/a"))


def test_a_destination_inside_another(bench: Bench) -> None:
    bench.version("v1").live("a", {"f": "x"})
    refused(bench, UsageError, "world/a/b", "lies inside", pairs=pairs_to(bench, "world/a", "world/a/b"))


@pytest.mark.parametrize("dest", ["site/a", "site/trees/a"])
def test_a_destination_inside_the_site(bench: Bench, dest: str) -> None:
    bench.version("v1").deploy()
    refused(bench, UsageError, "lie in each other", pairs=pairs_to(bench, dest))


def test_a_destination_around_the_site(bench: Bench) -> None:
    bench.version("v1").deploy()
    pairs = [Pair(bench.work / "apps", bench.root, "all")]
    refused(bench, UsageError, "lie in each other", pairs=pairs)


def test_two_trees_of_one_name(bench: Bench) -> None:
    bench.version("v1").live("one", {}).live("two", {})
    pairs = [Pair(bench.work / "apps", bench.world / "one/x"), Pair(bench.work / "conf", bench.world / "two/x")]
    refused(bench, UsageError, "'x'", "NAME=", pairs=pairs)


@pytest.mark.parametrize("name", ["run", "REVISION", "a/b", ".hidden", "", "x y"])
def test_names_that_no_tree_can_have(bench: Bench, name: str) -> None:
    bench.version("v1")
    pair = (
        Pair(bench.work / "apps", bench.world / "x", name) if name else Pair(bench.work / "apps", bench.world / "run")
    )
    refused(bench, UsageError, "cannot name a tree", "NAME=", pairs=[pair])


def test_a_destination_that_is_a_file(ready: Bench) -> None:
    (ready.world / "docs").write_text("x")
    refused(
        ready,
        DestinationRefused,
        "world/docs",
        "not a directory",
        pairs=[Pair(ready.work / "apps", ready.world / "docs")],
    )


@pytest.mark.parametrize("text", ["/etc", "nowhere", "/nowhere/current/docs"])
def test_a_destination_that_is_a_foreign_symlink(ready: Bench, text: str) -> None:
    (ready.world / "docs").symlink_to(text)
    pairs = [Pair(ready.work / "apps", ready.world / "docs")]
    refused(ready, DestinationRefused, "world/docs", f"a symlink to {text}", pairs=pairs)


def test_a_public_link_turned_elsewhere(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    (bench.world / "conf").unlink()
    (bench.world / "conf").symlink_to("/etc")
    refused(bench, DestinationRefused, "world/conf", "/etc")


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_a_destination_that_is_a_mount_point(bench: Bench, kind: str) -> None:
    if os.geteuid() != 0:
        without(CannotMount("only root can mount"))
    bench.version("v1").live("apps", {})
    (bench.root / "other").mkdir()
    point = bench.world / "apps"
    command = ["mount", "--bind", str(bench.root / "other"), str(point)]
    subprocess.run(command if kind == "bind" else ["mount", "-t", "tmpfs", "none", str(point)], check=True)
    try:
        refused(bench, DestinationRefused, str(point), "mount point")
    finally:
        unmount(point)


def test_a_destination_whose_parent_is_missing(ready: Bench) -> None:
    pairs = [Pair(ready.work / "apps", ready.world / "no/such/place")]
    refused(ready, DestinationRefused, "world/no/such", "does not exist", "mkdir -p", pairs=pairs)


def test_destinations_of_two_sites(bench: Bench) -> None:
    bench.version("v1").deploy()
    second = bench.world / "second"
    site = treeswap.Site.at(bench.root / "other")
    pair = Pair(bench.work / "apps", second)
    site.deploy(site.request_for([pair]))
    before = snapshot(bench.root)
    with pytest.raises(UsageError) as told:
        treeswap.Site.for_copy([Pair(bench.work / "conf", bench.world / "conf"), pair])
    assert all(str(root) in told.value.message for root in (bench.site_root, bench.root / "other"))
    with pytest.raises(UsageError, match="belongs to the site"):
        treeswap.Site.for_copy([pair], bench.site_root)
    with pytest.raises(DestinationRefused, match="not a public path of the site"):
        bench.site.deploy(bench.site.request_for([pair], add=True))
    assert snapshot(bench.root, but=("site/.treeswap/*.lock",)) == snapshot(bench.root, but=("site/.treeswap/*.lock",))
    assert before.count("\n") == snapshot(bench.root).count("\n")


def test_a_public_path_that_belongs_to_another_tree(bench: Bench) -> None:
    bench.version("v1").deploy()
    refused(bench, UsageError, "public path of conf", pairs=[Pair(bench.work / "apps", bench.world / "conf", "apps")])
    refused(bench, UsageError, "public path", "unadopt", pairs=[Pair(bench.work / "apps", bench.world / "new", "apps")])


def test_a_parent_without_write_permission(bench: Bench) -> None:
    bench.version("v1")
    (bench.root / "site-parent").mkdir()
    bench.site_root = bench.root / "site-parent/site"
    (bench.root / "site-parent").chmod(0o777)
    as_nobody(lambda: refused(bench, DestinationRefused, "no permission", str(bench.world)))


# ---------------------------------------------------------------- SITE


def test_a_site_that_readers_could_not_reach(bench: Bench) -> None:
    closed = bench.root / "closed"
    closed.mkdir(0o700)
    bench.site_root = closed / "site"
    bench.version("v1")
    refused(bench, PlaceRefused, str(closed), "could not be reached", "--deploy-to")


def test_a_site_as_closed_as_its_destination_is_well(bench: Bench) -> None:
    closed = bench.root / "closed"
    closed.mkdir(0o700)
    bench.tree("apps", {"f": "v1"}, closed / "apps")
    bench.site_root = closed / "site"
    bench.deploy().shows("v1")


def test_a_site_that_others_may_write_to(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    bench.site_root.chmod(0o757)
    refused(bench, PlaceRefused, "writable by everybody", "chmod o-w")
    bench.site_root.chmod(0o755)
    (bench.site_root / ".treeswap").chmod(0o713)
    refused(bench, PlaceRefused, "writable by everybody", ".treeswap")
    (bench.site_root / ".treeswap").chmod(0o711)
    bench.deploy().shows("v2")


def test_a_site_that_a_group_with_other_members_may_write_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp

    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    group = next((g for g in grp.getgrall() if g.gr_name == "nogroup"), grp.getgrall()[-1])
    bench.version("v1").deploy().version("v2")
    os.chown(bench.site_root, 0, group.gr_gid)
    bench.site_root.chmod(0o775)
    refused(bench, PlaceRefused, f"the group {group.gr_name}", "--group")
    bench.deploy(group=group.gr_name).shows("v2")


def test_a_group_of_the_owner_alone_is_well(bench: Bench) -> None:
    bench.version("v1").deploy().version("v2")
    bench.site_root.chmod(0o775)
    bench.deploy().shows("v2")


def test_a_directory_with_other_things_in_it_is_no_site_to_be(bench: Bench) -> None:
    bench.version("v1")
    bench.site_root.mkdir()
    (bench.site_root / "precious").touch()
    refused(bench, PlaceRefused, "precious", "--deploy-to")


@pytest.mark.parametrize("others", ["releases/20200101000000/app.py", "trees/apps/20200101000000/app.py", "run/x"])
def test_a_directory_with_another_tools_releases_is_no_site_to_be(bench: Bench, others: str) -> None:
    """A sweep would take them for leftovers of its own."""
    bench.version("v1")
    (bench.site_root / others).parent.mkdir(parents=True)
    (bench.site_root / others).write_text("theirs")
    refused(bench, PlaceRefused, "--deploy-to", others.partition("/")[0])
    assert (bench.site_root / others).read_text() == "theirs"


def test_a_shared_file_that_is_nowhere(bench: Bench) -> None:
    bench.version("v1")
    bench.options = {"shared": ["conf/.env"]}
    refused(bench, PlaceRefused, "shared/conf/.env", "does not exist", "put it there first")


def test_a_file_where_a_shared_directory_is_meant(bench: Bench) -> None:
    bench.version("v1").deploy()
    bench.options = {"shared": ["conf/other/"]}
    refused(bench, UsageError, "is a file")


@pytest.mark.parametrize("path", ["conf/../x", "conf//etc", "nope/x", "conf", "conf/"])
def test_shared_paths_that_are_none(bench: Bench, path: str) -> None:
    bench.version("v1")
    with pytest.raises(UsageError):
        bench.request(shared=[path])


# ---------------------------------------------------------------- space


def free(root: Path) -> tuple[int, int]:
    status = os.statvfs(root)
    return status.f_bfree, status.f_ffree


def on_small(act: Callable[[Bench], None], megabytes: int, *options: str) -> None:
    try:
        with mounted("ext4", megabytes, *options) as root:
            act(Bench(root))
    except CannotMount as reason:
        without(reason)


def test_too_little_space_is_asked_before_staging(bench: Bench) -> None:
    def story(tight: Bench) -> None:
        tight.tree("apps", {"f": "v1"}).deploy()
        bench.tree("apps", {"big": bytes(64 << 20)})
        tight.work = bench.work
        before = free(tight.root)
        refused(tight, NoSpace, "bytes free", "are needed")
        assert free(tight.root) == before

    on_small(story, 24)


def test_too_few_inodes_are_asked_before_staging(bench: Bench) -> None:
    def story(tight: Bench) -> None:
        tight.tree("apps", {"f": "v1"}).deploy()
        bench.tree("apps", {f"f{number}": "v" for number in range(400)})
        tight.work = bench.work
        refused(tight, NoSpace, "inodes free", "are needed")

    on_small(story, 24, "-N", "200")


def test_space_that_ends_while_staging_comes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may take it between the question and the copy."""
    from treeswap.site import checking

    monkeypatch.setattr(checking, "check_space", lambda core, work: None)

    def story(tight: Bench) -> None:
        tight.tree("apps", {"f": "v1"}).deploy()
        bench.tree("apps", {f"f{number}": os.urandom(1 << 20) for number in range(40)})
        tight.work = bench.work
        refused(tight, NoSpace, "no space left")
        before = free(tight.root)[0]
        refused(tight, NoSpace, "no space left")
        assert abs(free(tight.root)[0] - before) < 16, "the space is back"
        tight.shows(apps={"f": "v1"}).rests()

    on_small(story, 24)


def test_inodes_that_end_while_staging_come_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from treeswap.site import checking

    monkeypatch.setattr(checking, "check_space", lambda core, work: None)

    def story(tight: Bench) -> None:
        tight.tree("apps", {"f": "v1"}).deploy()
        bench.tree("apps", {f"f{number}": "v" for number in range(400)})
        tight.work = bench.work
        before = free(tight.root)[1]
        refused(tight, NoSpace, "no space left")
        assert free(tight.root)[1] == before
        tight.shows(apps={"f": "v1"}).rests()

    on_small(story, 24, "-N", "200")


def test_a_quota_that_ends_while_staging(bench: Bench) -> None:
    """statvfs knows nothing of a btrfs qgroup; the kernel's EDQUOT comes in the middle of a copy."""
    if shutil.which("btrfs") is None:
        without(CannotMount("btrfs is not installed"))
    try:
        with mounted("btrfs") as root:
            for words in ("quota enable .", "subvolume create sub", "qgroup limit 8M sub"):
                subprocess.run(["btrfs", *words.split()], cwd=root, check=True, capture_output=True)
            tight = Bench(root / "sub")
            tight.tree("apps", {"f": "v1"}).deploy()
            bench.tree("apps", {f"f{number}": os.urandom(1 << 20) for number in range(20)})
            tight.work = bench.work
            refused(tight, NoSpace, "no space left", os.strerror(errno.EDQUOT))
            tight.shows(apps={"f": "v1"}).rests()
            bench.tree("apps", {"f": os.urandom(4 << 20)})
            tight.deploy()
    except CannotMount as reason:
        without(reason)


# ---------------------------------------------------------------- disks that fail


def test_an_error_of_writeback_is_final(ready: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: durable.Barrier) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(durable.Barrier, "sync", fail)
    refused(ready, Failed, os.strerror(5))
    monkeypatch.undo()
    ready.deploy().shows("v2").rests()


@pytest.mark.parametrize("name", ["fsync_directory", "replace_file", "append", "swing_link", "put_link"])
def test_any_error_of_the_disk_ends_in_one_whole_release(
    ready: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each of the calls of one kind fails in turn, once."""
    before = ready.current if (ready.site_root / "current").exists() else None
    good = getattr(durable, name)
    for fatal in range(1, 60):
        left = fatal

        def fail(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(5, os.strerror(5), "the disk")
            return good(*args, **kwargs)

        for module in callers(name):
            monkeypatch.setattr(module, name, fail)
        error = None
        try:
            ready.site.deploy(ready.request())
        except TreeswapError as told:
            error = told
        monkeypatch.undo()
        if error is None and left > 0:
            break
        switched = (ready.site_root / "current").exists() and ready.current != before
        if switched:
            assert error is None or error.exit_code == 17, f"{error!r} at {name} {fatal}"
            ready.shows("v2")
            ready.recover().rests().rollback(exits=0 if before else 15)
            if before is None:
                break
            ready.switch(before)
        elif error is not None:
            assert error.exit_code == 12, f"{error!r} at {name} {fatal}"
            if before:
                ready.shows("v1")
                assert ready.current == before
            else:
                assert not any(os.path.lexists(path) for path in ready.paths.values()), f"{name} {fatal}"
        ready.version("v2")
    else:
        raise AssertionError("there was no end of it")
    ready.deploy(force=True).shows("v2").rests()


def test_a_disk_that_fails_while_the_request_is_made_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> tuple[int, str]:
        raise OSError(5, os.strerror(5), str(path))

    bench.version("v1")
    monkeypatch.setattr(filesystems, "place_of", fail)
    with pytest.raises(Failed, match="could not be used"):
        bench.request()
