"""What is shared from some release on: nothing that visitors saw in its old place goes out of view with the switch."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import Bench
from killing import changes_of, run_until
from treeswap import durable
from treeswap.errors import DestinationRefused, Failed, StraysFound
from treeswap.outcomes import Event
from treeswap.site import Request

SHARED: dict[str, Any] = {"shared": ["media/up/"]}


@pytest.fixture
def began(bench: Bench) -> Bench:
    """What is served has uploads in the version itself; the next version is to share them."""
    bench.version("v1").deploy()
    (bench.world / "media/up/sub").mkdir(parents=True)
    (bench.world / "media/up/counter").write_text("1")
    (bench.world / "media/up/sub/a").write_text("a")
    return bench.version("v2")


def failing(bench: Bench, at: str, do: Callable[[], object] | None = None, *, exits: bool = True) -> None:
    """A deploy that shares the uploads; `do` is done as step `at` begins, and with `exits` the deploy fails there."""

    def listen(event: Event) -> None:
        if event.step == at:
            if do is not None:
                do()
            if exits:
                raise Failed("the test ends it here")

    site = bench.site
    site.listener = listen
    request = bench.request(**SHARED)
    if not exits:
        site.deploy(request)
        return
    with pytest.raises(Failed, match="the test ends it"):
        site.deploy(request)


def uploads(bench: Bench) -> dict[str, str]:
    """What visitors see of them."""
    top = bench.world / "media/up"
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def goes_on(bench: Bench) -> None:
    """The application writes to the place that it knows."""
    up = bench.world / "media/up"
    (up / "counter").write_text("22")
    (up / "sub/b").write_text("b")
    (up / "more").mkdir()
    (up / "more/c").write_text("c")
    (up / "more/link").symlink_to("c")
    (up / "link").symlink_to("counter")


WENT_ON = {"counter": "22", "link": "22", "more/c": "c", "more/link": "c", "sub/a": "a", "sub/b": "b"}


def is_shared(bench: Bench) -> bool:
    return durable.leads_through(bench.world / "media/up", str(bench.site_root / "shared/media/up"))


def test_a_deploy_that_failed_after_its_copy_hides_nothing_from_the_next(began: Bench) -> None:
    failing(began, "switch")
    assert (began.site_root / "shared/media/up/counter").read_text() == "1" and began.current == began.ids[-1]
    goes_on(began)
    began.deploy(**SHARED).notes("media/up/sub/b", "shared/media/up/")
    assert uploads(began) == WENT_ON and is_shared(began)
    assert not began.strange()


def test_a_staged_release_is_switched_to_with_what_came_meanwhile(began: Bench) -> None:
    began.stage(**SHARED)
    goes_on(began)
    began.switch(max(began.ids)).notes("media/up/more")
    assert uploads(began) == WENT_ON and is_shared(began)
    assert not began.strange()


def test_a_deploy_after_another_was_staged(began: Bench) -> None:
    began.stage(**SHARED)
    goes_on(began)
    began.version("v3").deploy(**SHARED)
    assert not began.strange()
    assert uploads(began) == WENT_ON and is_shared(began)


def test_what_is_written_between_seal_and_switch_is_seen(began: Bench) -> None:
    failing(began, "switch", lambda: goes_on(began), exits=False)
    assert uploads(began) == WENT_ON and is_shared(began)


def test_a_deploy_killed_at_any_change_hides_nothing_from_the_next(began: Bench, tmp_path: Path) -> None:
    """Once the copy is there; and whichever change of the second deploy, which brings it up to date, is its last."""
    failing(began, "switch")
    goes_on(began)
    seen, number = dict(WENT_ON), 0
    while True:
        number += 23
        if run_until(number, lambda: began.deploy(**SHARED), tmp_path / "log"):
            break
        assert uploads(began) == seen
        if not is_shared(began):
            (began.world / f"media/up/new{number}").write_text(str(number))
            (began.world / "media/up/counter").write_text(f"at {number}")
            seen |= {f"new{number}": str(number), "counter": f"at {number}", "link": f"at {number}"}
    began.deploy(**SHARED)
    assert not began.strange()
    assert number > 100 and uploads(began) == seen and is_shared(began)


def test_what_is_replaced_is_never_half_there(began: Bench, tmp_path: Path) -> None:
    """Killed at any change of a switch that brings a copy up to date, each of its files is the old or the new one."""
    began.stage(**SHARED)
    staged, before = max(began.ids), began.current
    goes_on(began)
    os.utime(began.world / "media/up/counter", ns=(2**62, 2**62))
    copy = began.site_root / "shared/media/up"
    ended = 0
    while not ended:
        for number in range(1, 1000):
            if run_until(number, lambda: began.switch(staged), tmp_path / "log"):
                ended = number
                break
            assert (copy / "counter").read_text() in ("1", "22")
            assert not (copy / "more").exists() or (copy / "more/c").read_text() == "c"
            assert uploads(began) == WENT_ON
            began.recover()
            assert not began.strange()
    assert ended > 20 and began.current == staged != before
    assert not began.strange()


def test_nothing_that_is_shared_is_removed(began: Bench) -> None:
    failing(began, "switch")
    (began.site_root / "shared/media/up/by hand").write_text("h")
    (began.world / "media/up/sub/a").unlink()
    began.deploy(**SHARED)
    assert uploads(began) == {"by hand": "h", "counter": "1", "sub/a": "a"}


def back_and_written_to(bench: Bench) -> str:
    """The sharing release was served and written through; then a rollback, and the old place is written to again."""
    second = bench.deploy(**SHARED).current
    (bench.world / "media/up/counter").write_text("shared")
    (bench.world / "media/up/only shared").write_text("s")
    bench.rollback()
    assert uploads(bench) == {"counter": "1", "sub/a": "a"}
    return second


def test_what_came_after_a_rollback_to_before_the_sharing_comes_along(began: Bench) -> None:
    second = back_and_written_to(began)
    (began.world / "media/up/sub/b").write_text("b")
    began.switch(second).notes("sub/b")
    assert uploads(began) == {"counter": "shared", "only shared": "s", "sub/a": "a", "sub/b": "b"}
    assert not began.strange()


@pytest.mark.parametrize("by", ["switch", "deploy"])
def test_what_both_places_were_written_to_is_for_a_person_to_decide(began: Bench, by: str) -> None:
    second = back_and_written_to(began)
    old = began.world.resolve() / "media/up/counter"
    old.write_text("old place")
    inside = old.resolve()

    def again(**flags: Any) -> None:
        if by == "switch":
            began.switch(second, **flags)
        else:
            began.version("v3").deploy(**SHARED, **flags)

    again(exits=12)
    outside = began.site_root / "shared/media/up/counter"
    assert isinstance(began.error, StraysFound)
    began.says("media/up/counter", f"cp -a {inside} {outside}", "--leave-strays")
    assert uploads(began)["counter"] == "old place" and outside.read_text() == "shared"
    again(leave_strays=True)
    assert uploads(began) == {"counter": "shared", "only shared": "s", "sub/a": "a"}
    assert inside.read_text() == "old place"


def test_the_way_out_that_is_named_is_one(began: Bench) -> None:
    second = back_and_written_to(began)
    (began.world / "media/up/counter").write_text("old place")
    began.switch(second, exits=12)
    assert began.error is not None and began.error.hint is not None
    command = began.error.hint.partition("for instance, ")[2].partition(";")[0]
    assert os.system(command) == 0
    began.switch(second)
    assert uploads(began)["counter"] == "old place"


def test_content_that_is_equal_is_no_question(began: Bench) -> None:
    second = back_and_written_to(began)
    (began.world / "media/up/counter").write_text("shared")
    began.switch(second)
    assert uploads(began)["counter"] == "shared"


def test_a_directory_where_a_file_is_shared_is_a_question(began: Bench) -> None:
    second = back_and_written_to(began)
    (began.world / "media/up/only shared").mkdir()
    began.switch(second, exits=12).says("media/up/only shared")


def test_what_a_person_put_there_is_replaced_by_nothing(began: Bench) -> None:
    up = began.site_root / "shared/media/up"
    up.mkdir(parents=True)
    (up / "counter").write_text("mine")
    os.utime(up / "counter", (1, 1))
    began.deploy(**SHARED, exits=12).says("media/up/counter")
    os.utime(up / "counter")
    began.deploy(**SHARED)
    assert uploads(began) == {"counter": "mine", "sub/a": "a"}


def test_what_a_person_changed_in_the_copy_is_a_question(began: Bench) -> None:
    failing(began, "switch")
    (began.site_root / "shared/media/up/counter").write_text("mine")
    began.deploy(**SHARED, exits=12).says("media/up/counter")
    began.deploy(**SHARED, leave_strays=True)
    assert uploads(began) == {"counter": "mine", "sub/a": "a"}


def test_what_is_shared_from_elsewhere_by_a_link_is_for_a_person_to_fill(began: Bench, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (began.site_root / "shared/media").mkdir()
    (began.site_root / "shared/media/up").symlink_to(tmp_path / "disk")
    began.deploy(**SHARED, exits=12).says("2 paths", "media/up/counter", "media/up/sub", str(began.site_root))
    assert os.listdir(tmp_path / "disk") == []
    began.deploy(**SHARED, leave_strays=True)
    assert uploads(began) == {}


def test_a_single_file_is_brought_up_to_date_too(bench: Bench) -> None:
    bench.version("v1").deploy()
    env = bench.world / "conf/.env"
    env.write_text("a=1")
    bench.version("v2").stage(shared=["conf/.env"])
    env.write_text("a=2, later")
    bench.switch(max(bench.ids)).notes("conf/.env")
    assert env.read_text() == "a=2, later" and env.parent.resolve().joinpath(".env").is_symlink()
    assert not bench.strange()


def test_a_rollback_copies_nothing_and_tells(bench: Bench) -> None:
    """The older release shared the directory, the one that it goes away from does not."""
    bench.version("v1").deploy(**SHARED)
    bench.options = {}
    trees = {name: bench.site.trees[name] for name in bench.paths}
    bench.version("v2")
    (bench.work / "media/up").mkdir()
    (bench.work / "media/up/of the source").write_text("s")
    unshared = {name: replace(tree, shared=()) for name, tree in trees.items()}
    bench.site.deploy(Request({name: bench.work / name for name in trees}, unshared))
    second = bench.current
    (bench.world / "media/up/late").write_text("l")
    bench.rollback().notes("media", second, "up/late", "up/of the source")
    assert uploads(bench) == {}
    bench.switch(second)
    assert uploads(bench) == {"late": "l", "of the source": "s"}


@pytest.mark.parametrize("when", ["copied", "brought up to date"])
def test_a_database_in_use_is_not_copied(began: Bench, when: str) -> None:
    file = began.world / "media/up/sub/db.sqlite3"
    staged = None
    if when == "brought up to date":
        began.stage(**SHARED)
        staged = max(began.ids)
    database = sqlite3.connect(file)
    database.execute("create table t (x)")
    database.commit()
    if staged:
        began.switch(staged, exits=12)
    else:
        began.deploy(**SHARED, exits=12)
    assert isinstance(began.error, DestinationRefused)
    began.says("media/up/sub/db.sqlite3", "SQLite database in use", "stop what uses it")
    assert not is_shared(began)
    database.close()
    if staged:
        began.switch(staged)
    else:
        began.deploy(**SHARED)
    assert is_shared(began) and file.read_bytes().startswith(b"SQLite")


def test_times_and_modes_come_along(began: Bench) -> None:
    began.stage(**SHARED)
    late = began.world / "media/up/sub/late"
    late.write_text("l")
    late.chmod(0o640)
    os.utime(late, ns=(10**18 + 1, 10**18 + 1))
    began.switch(max(began.ids))
    status = late.stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 10**18 + 1)


def test_a_switch_with_nothing_to_bring_writes_nothing_more(began: Bench, tmp_path: Path) -> None:
    """What was not shared yet, and what is already, cost a switch nothing."""
    first, second = began.current, began.deploy(**SHARED).current
    third = began.version("v3").deploy(**SHARED).current
    without = changes_of(lambda: began.switch(second), tmp_path / "log")
    assert changes_of(lambda: began.switch(third), tmp_path / "log") == without
    began.switch(first)
    assert changes_of(lambda: began.switch(third), tmp_path / "log") == without


def test_what_was_left_behind_is_not_pruned_unnamed(began: Bench) -> None:
    """With `--leave-strays`, which says so; what was copied keeps nothing."""
    first = began.current
    second = back_and_written_to(began)
    (began.world / "media/up/counter").write_text("old place")
    began.switch(second, leave_strays=True)
    for text in ("v3", "v4"):
        began.version(text).deploy(**SHARED, keep=1, grace=0.0)
    began.prune()
    assert {row.record.id: row.kept_because for row in began.site.releases()}[first] == "media has strays: up/"
    (began.world / "media/up/counter").write_text("and on")
    began.prune()
    assert first not in began.ids and uploads(began)["counter"] == "and on"


def test_going_to_a_release_without_the_link_leaves_no_upload_behind(bench: Bench) -> None:
    """That the path is to be shared, as a staged release has it, helps nobody there."""
    first = bench.version("v0").deploy().current
    bench.version("v1").deploy()
    (bench.world / "media/up").mkdir()
    (bench.world / "media/up/photo").write_text("p")
    bench.version("v2").stage(**SHARED)
    bench.switch(first, exits=12).says("media/up/")
    assert uploads(bench) == {"photo": "p"}
    bench.rollback().notes("up/")
