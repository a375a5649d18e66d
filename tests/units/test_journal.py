"""The journal: torn ends, damage, numbers, and what is folded out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treeswap.envelope import seal, time_of, time_text, unseal
from treeswap.errors import Damaged
from treeswap.journal import Journal
from treeswap.release import ReleaseId

NOW = datetime(2026, 11, 22, 18, 1, 2, tzinfo=UTC)
A, B, C = (ReleaseId(f"2026112218010{n}") for n in range(3))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl", by="me", clock=lambda: NOW)


def file_of(journal: Journal) -> Path:
    return journal._path


def test_numbers_count_lines(journal: Journal) -> None:
    assert [journal.append("note"), journal.append("note"), journal.append("note")] == [1, 2, 3]
    assert [event["event"] for event in journal.events()] == ["note"] * 3
    assert file_of(journal).stat().st_mode & 0o777 == 0o644


def test_nothing_journalled_yet(journal: Journal) -> None:
    history = journal.history()
    assert (history.highest, history.served, history.open) == (None, [], None)


def test_every_torn_end_is_cut_before_anything_is_appended(journal: Journal) -> None:
    journal.append("note", n=1)
    journal.append("note", n=2)
    whole = file_of(journal).read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        file_of(journal).write_bytes(whole[:length])
        assert [event["n"] for event in journal.events()] == [1]
        assert journal.append("note", n=3) == 2
        assert [event["n"] for event in journal.events()] == [1, 3]


def test_a_changed_byte_anywhere_but_in_the_last_line_is_named(journal: Journal) -> None:
    for n in range(3):
        journal.append("note", n=n)
    good = file_of(journal).read_bytes()
    second = good.index(b"\n") + 1
    third = good.index(b"\n", second) + 1
    for at in range(second, third - 1, 7):
        file_of(journal).write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        with pytest.raises(Damaged, match=r"line [23] of the journal"):
            journal.history()


def test_a_good_line_that_means_nothing_is_damage(journal: Journal) -> None:
    journal.append("intent", nonsense=1)
    journal.append("note")
    with pytest.raises(Damaged, match="line 1"):
        journal.history()


def test_ids_are_reserved_above_all_that_were(journal: Journal) -> None:
    assert journal.reserve(2, None) == ["20261122180102", "20261122180103"]
    assert journal.reserve(1, None) == ["20261122180104"]
    assert journal.reserve(1, ReleaseId("20300101000000")) == ["20300101000001"]
    assert journal.reserve(1, None) == ["20300101000002"]


def test_what_was_served_is_what_was_carried_out(journal: Journal) -> None:
    one = journal.intend("switch", before=None, to=A, why="deploy")
    journal.outcome(one, done=True)
    two = journal.intend("switch", before=A, to=B, why="deploy")
    journal.outcome(two, done=False)
    three = journal.intend("switch", before=A, to=C, why="deploy", bad=[], good=[C])
    journal.outcome(three, done=True)
    four = journal.intend("switch", before=C, to=A, why="rollback", bad=[C], good=[A])
    history = journal.history()
    assert (history.served, history.bad) == ([A, C], set())
    assert history.open is not None and (history.open.number, history.open.to) == (four, A)
    history.agree_with(A, NOW)
    assert (history.served, history.bad) == ([A, C, A], {C})


def test_an_open_intent_that_did_not_happen_counts_for_nothing(journal: Journal) -> None:
    journal.outcome(journal.intend("switch", before=None, to=A, why="deploy"), done=True)
    journal.intend("switch", before=A, to=B, why="deploy", bad=[A])
    history = journal.history()
    history.agree_with(A, NOW)
    assert (history.served, history.bad) == ([A], set())


def test_a_line_that_was_read_is_not_read_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def noted(line: bytes, what: str) -> dict[str, object]:
        read.append(line)
        return unseal(line, what)

    monkeypatch.setattr("treeswap.journal.unseal", noted)
    for id in (A, B):
        journal.append("observed", id=id)
        assert journal.history().served[-1] == id
    journal.append("observed", id=C)
    read.clear()
    history = journal.history()
    assert history.served == [A, B, C]
    assert {unseal(line, "it")["id"] for line in read} == {C}
    history.serve(A, NOW)  # what a caller does with it is nobody else's
    assert journal.history().served == [A, B, C]


def test_a_journal_that_was_replaced_or_mended_is_read_anew(journal: Journal) -> None:
    journal.append("observed", id=A)
    journal.append("observed", id=B)
    both = file_of(journal).read_bytes()
    first = both.index(b"\n") + 1
    assert journal.history().served == [A, B]
    file_of(journal).write_bytes(both[first:])
    assert journal.history().served == [B]
    file_of(journal).write_bytes(both + b'{"event":"observed"}\n' + both)
    with pytest.raises(Damaged, match="line 3"):
        journal.history()
    file_of(journal).write_bytes(both + both[:first])
    assert journal.history().served == [A, B, A]


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none(), min_size=1))
def test_an_envelope_gives_back_what_was_put_in(value: dict[str, object]) -> None:
    value.pop("crc", None)
    if value:
        assert unseal(seal(value), "it") == value


@given(st.integers(0, 400), st.integers(1, 255))
def test_an_envelope_notices_any_changed_byte(at: int, change: int) -> None:
    sealed = bytearray(seal({"event": "intent", "to": "20261122180102", "why": "deploy"}))
    at %= len(sealed) - 1
    sealed[at] ^= change
    with pytest.raises(Damaged, match="it is damaged"):
        unseal(bytes(sealed), "it")


def test_times_are_rfc_3339_in_utc() -> None:
    assert time_text(NOW) == "2026-11-22T18:01:02.000000Z"
    assert time_of(time_text(NOW)) == NOW
