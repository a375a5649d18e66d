"""Migrations run once, before the switch; the maintenance page is up for exclusive ones, and never taken down by who
has not put it up."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from builder import Builder
from treeswap.journal import Journal
from treeswap.records import Records
from treeswap.release import Command

PAGE = "$TREESWAP_SITE/maintenance/page.html"
LOOK = f'test -e "{PAGE}" && echo up >> {{site}}/../seen || echo down >> {{site}}/../seen'


def seen(builder: Builder) -> list[str]:
    """What migrations found, in their order."""
    file = builder.bench.root / "seen"
    return file.read_text().split() if file.exists() else []


def is_up(builder: Builder) -> bool:
    return (builder.bench.site_root / "maintenance/page.html").exists()


def test_migrations_run_before_the_switch_and_once(builder: Builder) -> None:
    look = "readlink {site}/current >> {site}/../seen || echo none >> {site}/../seen; cat a.css >> {site}/../seen"
    builder.commands(migrate=(look,)).says("one\n").deploy()
    first = builder.bench.current
    assert not builder.deploy().outcome.changed
    builder.says("two\n").deploy()
    assert seen(builder) == ["none", "one", f"releases/{first}", "two"]
    builder.bench.rests()


def test_a_staged_release_is_migrated_when_it_is_switched_to(builder: Builder) -> None:
    bench = builder.commands(migrate=("cat a.css >> {site}/../seen",)).says("one\n").deploy().bench
    id = builder.says("two\n").stage().outcome.release
    assert id is not None and seen(builder) == ["one"]
    assert "migrate: cat a.css >> {site}/../seen" in bench.site.plan_switch(id).steps
    bench.switch(id)
    assert seen(builder) == ["one", "two"] and bench.current == id
    bench.rollback().switch(id).rests()
    assert seen(builder) == ["one", "two"]


def test_a_staged_release_whose_migration_fails_stays_staged(builder: Builder) -> None:
    bench = builder.says("one").deploy().bench
    first = bench.current
    builder.commands(migrate=("true", "false")).says("two").stage()
    assert builder.outcome.release is not None
    bench.switch(builder.outcome.release, exits=12).says("`false` (migrate) failed")
    assert bench.error and bench.error.migrated == ("true",) and bench.current == first
    bench.rests()


def test_a_hold_is_told_before_all_else(builder: Builder) -> None:
    bench = builder.deploy().bench
    builder.commands(migrate=("touch {site}/../never",)).says("two").stage()
    staged = str(builder.outcome.release)
    bench.site.hold("why")
    for token in ("nowhere", staged):
        bench._do(11, lambda token=token: bench.site.switch(token))  # type: ignore[misc]
    assert not (bench.root / "never").exists()


def test_a_migration_that_fails_switches_nothing_and_says_which_ran(builder: Builder) -> None:
    first = builder.deploy().bench.current
    builder.commands(migrate=("true", "echo oh; exit 4", "touch {site}/../never")).says("two").deploy(exits=12)
    bench = builder.bench.says("`echo oh; exit 4` (migrate) failed with exit code 4", "treeswap log")
    assert bench.error and bench.error.migrated == ("true",) and bench.current == first
    assert not (bench.root / "never").exists() and not is_up(builder)
    builder.commands(migrate=()).deploy()
    bench.rests()


def test_a_rollback_migrates_nothing_and_says_what_ran(builder: Builder) -> None:
    builder.says("one").deploy()
    builder.commands(migrate=("echo ran >> {site}/../seen",)).says("two").deploy()
    builder.says("three").deploy()
    assert seen(builder) == ["ran", "ran"]
    command = "`echo ran >> {site}/../seen`"
    plan = builder.bench.site.plan_rollback().steps
    assert f"migrations that ran since {builder.bench.ids[1]}, and are not taken back" in plan[-1]
    bench = builder.bench.rollback().notes(f"migrations that ran since {builder.bench.ids[1]}", command)
    assert bench.outcome and sum(w.count("echo ran") for w in bench.outcome.warnings) == 1
    bench.rollback()
    assert bench.outcome and sum(w.count("echo ran") for w in bench.outcome.warnings) == 2
    assert seen(builder) == ["ran", "ran"]


def test_the_page_is_up_exactly_while_an_exclusive_migration_runs(builder: Builder) -> None:
    exclusive = Command(LOOK, exclusive=True)
    builder.deploy().says("two").commands(migrate=(LOOK, exclusive, exclusive, LOOK), after_switch=(LOOK,)).deploy()
    assert seen(builder) == ["down", "up", "up", "down", "down"]
    assert not is_up(builder) and builder.bench.site.status().maintenance is None
    log = [entry.what for entry in builder.bench.site.history()]
    assert [what.split(":")[0] for what in log if what.startswith("maintenance")] == [
        "maintenance on",
        "maintenance on",
        "maintenance off",
    ]
    builder.bench.rests()


def test_maintenance_by_hand_is_left_to_the_person(builder: Builder) -> None:
    builder.settings["maintenance"] = "manual"
    builder.commands(migrate=(Command(LOOK, exclusive=True),)).deploy()
    assert seen(builder) == ["down"]


def test_a_page_that_somebody_else_put_up_stays(builder: Builder) -> None:
    bench = builder.deploy().bench
    bench.site.maintenance_on("Back at <18:00>.", retry_after=7)
    page = (bench.site_root / "maintenance/page.html").read_text()
    assert "Back at &lt;18:00&gt;." in page and 'content="7"' in page
    builder.commands(migrate=(Command(LOOK, exclusive=True),)).says("two").deploy()
    assert seen(builder) == ["up"] and is_up(builder)
    bench.notes("the site is in maintenance since", "treeswap maintenance off")
    status = bench.site.status().maintenance
    assert status and (status.message, status.retry_after) == ("Back at <18:00>.", 7)
    assert bench.site.maintenance_off().changed and not is_up(builder)
    assert not bench.site.maintenance_off().changed
    bench.rests()


def test_a_migration_that_dies_under_maintenance_leaves_the_page_up(builder: Builder) -> None:
    builder.deploy().commands(migrate=(Command("exit 9", exclusive=True),)).says("two").deploy(exits=12)
    builder.bench.says("failed with exit code 9", "the maintenance page stays up until: treeswap maintenance off")
    builder.commands(migrate=()).deploy()
    builder.bench.notes("`exit 9` (migrate) failed with exit code 9")
    assert is_up(builder)
    builder.bench.rests()


@pytest.mark.parametrize(("event", "ran"), [("migrating", ()), ("migrated", (LOOK,))])
def test_a_disk_that_fails_beside_a_migration_takes_the_page_down_and_tells_what_ran(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, event: str, ran: tuple[str, ...]
) -> None:
    append = Journal.append

    def failing(journal: Journal, what: str, **details: Any) -> int:
        if what == event:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return append(journal, what, **details)

    bench = builder.deploy().bench
    builder.commands(migrate=(Command(LOOK, exclusive=True),)).says("two")
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", failing)
        builder.deploy(exits=12)
    assert bench.error and bench.error.migrated == ran
    assert seen(builder) == ["up"] * len(ran) and not is_up(builder)
    builder.deploy()
    bench.rests()


def test_a_disk_that_fails_afterwards_hides_nothing_of_a_failure(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(records: Records, ids: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    bench = builder.deploy().bench
    builder.commands(migrate=("true", "false"), on_failure=("echo after >> {site}/../seen",)).says("two")
    with monkeypatch.context() as patched:
        patched.setattr(Records, "remove", refused)
        builder.deploy(exits=12)
    bench.says("`false` (migrate) failed")
    assert bench.error and bench.error.migrated == ("true",) and seen(builder) == ["after"]
    builder.commands(migrate=()).deploy()
    bench.rests()


def test_a_mark_without_its_page_is_cleared(builder: Builder) -> None:
    bench = builder.deploy().bench
    bench.site.maintenance_on("soon")
    (bench.site_root / "maintenance/page.html").unlink()
    assert bench.site.status().state == "interrupted" and bench.site.status().maintenance is None
    bench.recover().rests()
    assert not (bench.site_root / ".treeswap/maintenance.json").exists()


def test_a_page_put_up_with_a_plain_editor_counts(builder: Builder) -> None:
    bench = builder.deploy().bench
    (bench.site_root / "maintenance").mkdir()
    (bench.site_root / "maintenance/page.html").write_text("<p>later")
    status = bench.site.status().maintenance
    assert status and status.why == "put up by hand"
    assert bench.site.maintenance_off().changed and bench.site.status().maintenance is None


def test_the_page_as_a_release_of_its_own(builder: Builder) -> None:
    builder.commands(migrate=("echo ran >> {site}/../seen",), build=("echo built > built",))
    bench = builder.says("one").deploy().bench
    first = bench.current
    bench.site.maintenance_on("Soon.", as_release=True)
    assert [path.name for path in (bench.world / "apps").iterdir()] == ["index.html"]
    assert "Soon." in (bench.world / "apps/index.html").read_text() and not is_up(builder)
    status = bench.site.status().maintenance
    assert status and status.release == bench.current != first and seen(builder) == ["ran"]
    bench.rests().site.maintenance_off()
    assert bench.current == first and bench.site.status().maintenance is None
    builder.says("two").deploy()
    bench.rollback()
    assert bench.current == first
    bench.rests()


def test_a_deploy_ends_the_release_that_holds_the_page(builder: Builder) -> None:
    bench = builder.says("one").deploy().bench
    first = bench.current
    bench.site.maintenance_on(as_release=True)
    builder.says("two").deploy()
    assert bench.site.status().maintenance is None
    bench.rollback()
    assert bench.current == first


@pytest.mark.parametrize("words", [{"tree": "apps"}, {"as_release": True, "tree": "nowhere"}])
def test_what_makes_no_sense_of_maintenance(builder: Builder, words: dict[str, object]) -> None:
    bench = builder.deploy().bench
    bench._do(2, lambda: bench.site.maintenance_on(**words))  # type: ignore[arg-type]
    assert bench.site.status().maintenance is None
