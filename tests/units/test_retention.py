"""Retention: pure, and with a reason for each release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from treeswap.history import History
from treeswap.outcomes import Decision
from treeswap.release import Record, ReleaseId
from treeswap.retention import Policy, decide

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def id_of(number: int) -> ReleaseId:
    return ReleaseId(f"{number:014d}")


def decided(
    count: int,
    *,
    keep: int = 2,
    grace: float = 0.0,
    named: frozenset[ReleaseId] = frozenset(),
    served: list[int] | None = None,
    bad: tuple[int, ...] = (),
    left_seconds_ago: Mapping[int, float] | None = None,
    adopted: tuple[int, ...] = (),
    **needs: Any,
) -> dict[int, Decision]:
    """Releases 1 to `count`, all served in that order, the last one current."""
    records = {
        id_of(n): Record(id_of(n), {}, NOW, "adopted" if n in adopted else "deployed") for n in range(1, count + 1)
    }
    history = History(served=[id_of(n) for n in served or range(1, count + 1)], bad={id_of(n) for n in bad})
    history.left_at = {id_of(n): NOW - timedelta(seconds=s) for n, s in (left_seconds_ago or {}).items()}
    given_needs: dict[str, Any] = {
        "current": id_of(count), "rollback_to": None, "in_use": {}, "strays": {}, **needs
    }  # fmt: skip
    given_needs["strays"] = given_needs["strays"].get
    made = decide(records, history, Policy(keep, grace, named), now=NOW, **given_needs)
    assert [decision.id for decision in made] == sorted(records, reverse=True)
    assert all(decision.because for decision in made)
    return {int(decision.id): decision for decision in made}


def kept(decisions: dict[int, Decision]) -> set[int]:
    return {number for number, decision in decisions.items() if decision.keep}


def test_the_newest_good_ones() -> None:
    assert kept(decided(5)) == {4, 5}


def test_bad_ones_do_not_count() -> None:
    made = decided(5, bad=(3, 4))
    assert kept(made) == {2, 5} and made[4].because == "bad"


def test_what_is_needed_stays_whatever_was_named() -> None:
    everything = frozenset(id_of(n) for n in range(1, 6))
    made = decided(5, named=everything, rollback_to=id_of(2), in_use={id_of(1): "leased"})
    assert kept(made) == {5, 2, 1}
    assert (made[5].because, made[1].because) == ("current", "leased")


def test_grace() -> None:
    made = decided(5, grace=60.0, left_seconds_ago={1: 59, 2: 61, 3: -5})
    assert kept(made) == {1, 3, 4, 5}
    assert made[1].because == "left 59 s ago, grace 60 s"
    assert kept(decided(5, grace=0.0, left_seconds_ago={1: 0, 2: -400})) == {4, 5}


def test_adopted_ones_and_strays_go_when_named() -> None:
    made = decided(5, adopted=(1,), strays={id_of(2): "media has strays: x"})
    assert kept(made) == {1, 2, 4, 5}
    both = frozenset({id_of(1), id_of(2)})
    assert kept(decided(5, adopted=(1,), strays={id_of(2): "strays"}, named=both)) == {4, 5}


def test_an_adopted_one_takes_no_place_of_a_good_one() -> None:
    assert kept(decided(5, adopted=(4,))) == {3, 4, 5}


def test_a_staged_one_stays_until_something_newer_is_served() -> None:
    assert kept(decided(5, served=[1, 2, 3, 4], current=id_of(4))) == {3, 4, 5}
    assert kept(decided(5, served=[1, 2, 3, 5])) == {3, 5}


@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.sets(st.integers(1, 12)),
    st.sets(st.integers(1, 12)),
    st.sets(st.integers(1, 12)),
)
def test_what_is_needed_is_never_removed(count: int, keep: int, bad: set[int], used: set[int], named: set[int]) -> None:
    in_use = {id_of(n): "leased" for n in used if n <= count}
    names = frozenset(id_of(n) for n in named if n <= count)
    made = decided(count, keep=keep, bad=tuple(bad), named=names, in_use=in_use, rollback_to=id_of(1))
    assert {count, 1, *(int(id) for id in in_use)} <= kept(made)
