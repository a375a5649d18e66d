"""Where a rollback goes, and what it marks; by what was served and never by time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from treeswap.history import History, Intent, bad_after, rollback_target
from treeswap.release import Record, ReleaseId, Tree, Version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TREES = {"apps": Tree("apps"), "conf": Tree("conf")}


def id_of(number: int) -> ReleaseId:
    return ReleaseId(f"{number:014d}")


def record(number: int, repeats: int | None = None, **versions: int) -> Record:
    made = {name: Version(name, id_of(v), "d", "m", 1, 1) for name, v in versions.items()}
    return Record(id_of(number), made, NOW, repeats=None if repeats is None else id_of(repeats))


def served(*numbers: int, bad: Iterable[int] = ()) -> History:
    history = History()
    for number in numbers:
        history.serve(id_of(number), NOW)
    history.bad = {id_of(number) for number in bad}
    return history


def target(current: int, records: list[Record], history: History) -> int | None:
    by_id = {r.id: r for r in records}
    found = rollback_target(id_of(current), by_id, history, TREES)
    return int(found.id) if found else None


def three() -> list[Record]:
    return [record(n, apps=n, conf=n) for n in (1, 2, 3)]


def test_the_newest_earlier_one() -> None:
    assert target(3, three(), served(1, 2, 3)) == 2
    assert target(1, three(), served(1)) is None


def test_order_of_serving_does_not_matter() -> None:
    assert target(3, three(), served(2, 1, 3)) == 2
    assert target(2, three(), served(3, 1, 2)) == 1


def test_bad_and_never_served_ones_are_passed_over() -> None:
    assert target(3, three(), served(1, 2, 3, bad=[2])) == 1
    assert target(3, three(), served(1, 3)) == 1
    assert target(3, three(), served(3)) is None


def test_the_same_versions_are_no_way_back() -> None:
    records = [record(1, apps=1, conf=1), record(2, apps=2, conf=1), record(3, apps=2, conf=1)]
    assert target(3, records, served(1, 2, 3)) == 1


def test_a_repetition_counts_as_what_it_repeats() -> None:
    records = [*three(), record(4, repeats=2, apps=2, conf=2)]
    assert target(4, records, served(1, 2, 3, 4)) == 1
    assert target(3, records, served(1, 2, 3, 4)) == 4
    assert bad_after(records[0], {r.id: r for r in records}, served(1, 2, 3, 4)) == [id_of(2), id_of(3)]


def test_a_tree_that_left_the_site_makes_no_difference() -> None:
    records = [record(1, apps=1, gone=1), record(2, apps=1, gone=2)]
    assert target(2, records, served(1, 2)) is None


def test_previous_is_by_order_of_serving() -> None:
    history = served(1, 2, 3, 1)
    records = {r.id: r for r in three()}
    assert history.previous(id_of(1), records) == id_of(3)
    del records[id_of(3)]
    assert history.previous(id_of(1), records) == id_of(2)


def test_when_a_release_was_left() -> None:
    history = served(1, 2)
    assert set(history.left_at) == {id_of(1)}
    history.serve(id_of(1), NOW)
    assert set(history.left_at) == {id_of(2)}


def test_ids_grow_whatever_the_clock_says() -> None:
    assert ReleaseId.next(datetime(2026, 11, 22, 18, 1, 2, tzinfo=UTC), None) == "20261122180102"
    assert ReleaseId.next(NOW, ReleaseId("20261122180102")) == "20261122180103"


def test_a_tree_that_left_was_brought_by_what_came_after_only() -> None:
    history = served(1, 2)
    before = {r.id: r for r in (record(1, apps=1), record(2, apps=1, conf=2))}
    assert history.has_brought("apps", before) and not history.has_brought("docs", before)
    left = Intent(1, "unadopt", NOW, id_of(2), None, "unadopt", {"copies": {"apps": ["/a", "/b"]}})
    history.carry_out(left, NOW)
    assert not history.has_brought("apps", before) and history.has_brought("conf", before)
    assert history.has_brought("apps", {**before, id_of(3): record(3, apps=3)})
