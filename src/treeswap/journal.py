"""The append-only record of what was intended and what came of it.

Promise: a line that `append` returned for is on disk; a torn last line is cut off before anything is appended, and is
never taken for damage; a bad line anywhere else is, and is named. Written under `switch.lock` only; read without.

Events: `reserved` an id · `intent` and its `outcome` · `observed` a switch made by hand · `removed` releases ·
`copied` what is to be shared · `damaged` and `sound` versions, as `verify` found them · `migrating` for a release, and
`migrated` · `maintenance` on or off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from . import durable
from .envelope import contents, seal, table_of, text_of, time_of, time_text, truth_of, unseal
from .errors import Damaged, UsageError
from .history import History, Intent, Migration
from .release import ReleaseId, tree_name

Clock = Callable[[], datetime]


class Journal:
    """The journal file at `path`; `by` and `clock` sign what is appended."""

    def __init__(self, path: Path, *, by: str, clock: Clock, mode: int = 0o644) -> None:
        self._path, self._by, self._clock, self._mode = path, by, clock, mode
        self._known = b""  # the lines that were read, all of them whole
        self._history = History()  # and what they come to

    def events(self) -> Iterator[dict[str, Any]]:
        """Every whole line, oldest first, each of which makes sense. `Damaged` names the line that does not."""
        events = self._unsealed(self._read(), 1)
        self._fold_into(History(), events, 1)
        return iter(events)

    def history(self) -> History:
        """All lines folded, in a value of the caller's own. `Damaged` as `events`. Lines that this object has read
        are not read again: a change asks some ten times, and a site that is deployed daily has thousands."""
        data = self._read()
        if not data.startswith(self._known):
            self._known, self._history = b"", History()
        first = self._known.count(b"\n") + 1
        history = self._history.copy()
        self._fold_into(history, self._unsealed(data[len(self._known) :], first), first)
        self._known, self._history = data, history
        return history.copy()

    def _fold_into(self, history: History, events: Iterable[dict[str, Any]], first: int) -> None:
        for number, event in enumerate(events, first):
            try:
                _fold(history, number, event)
            except KeyError as error:
                raise self._damaged(number, f"it has no {error}")
            except (ValueError, TypeError, UsageError) as error:
                raise self._damaged(number, error)

    def append(self, event: str, **details: Any) -> int:
        """Adds one event, durable, and gives its number (from 1)."""
        return self._append(durable.append, event, details)

    def append_loosely(self, event: str, **details: Any) -> None:
        """Adds one event that may be lost with the power; the next `append` makes it durable."""
        self._append(durable.append_loosely, event, details)

    def _append(self, append: Callable[[int, bytes], None], event: str, details: dict[str, Any]) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode)
        try:
            data = _all_of(fd)
            fresh = not data
            if fresh:
                os.fchmod(fd, self._mode)
            elif len(data) > (whole := _whole_length(data, self._path)):
                durable.cut(fd, whole)
                data = data[:whole]
            line = {"at": time_text(self._clock()), "event": event, "by": self._by, **details}
            try:
                append(fd, seal(line))
            except OSError:
                # An event that was told as failed must not be found later.
                with suppress(OSError):
                    durable.cut_durably(fd, len(data))
                raise
        finally:
            os.close(fd)
        if fresh:
            durable.fsync_directory(self._path.parent)
        return data.count(b"\n") + 1

    def reserve(self, ids: int, known: ReleaseId | None) -> list[ReleaseId]:
        """The next ids, larger than any that was ever journalled and than `known`, journalled before they are used."""
        highest = self.history().highest
        highest = max(filter(None, (highest, known)), default=None)
        reserved = []
        for _ in range(ids):
            highest = ReleaseId.next(self._clock(), highest)
            reserved.append(highest)
        self.append("reserved", ids=reserved)
        return reserved

    def intend(self, what: str, *, before: ReleaseId | None, to: ReleaseId | None, why: str, **details: Any) -> int:
        return self.append("intent", what=what, **{"from": before}, to=to, why=why, details=details)

    def outcome(self, intent: int, *, done: bool) -> None:
        self.append("outcome", of=intent, done=done)

    def _read(self) -> bytes:
        """The whole lines; none where there is no file."""
        try:
            data = contents(self._path)
        except FileNotFoundError:
            return b""
        return data[: _whole_length(data, self._path)]

    def _unsealed(self, data: bytes, first: int) -> list[dict[str, Any]]:
        """The events of these lines, the first of which has this number. `Damaged` names the first that is none."""
        events: list[dict[str, Any]] = []
        for number, line in enumerate(data.splitlines(), first):
            try:
                events.append(unseal(line, f"line {number} of {self._path}"))
            except Damaged:
                raise self._damaged(number, "its checksum does not fit its content")
        return events

    def _damaged(self, number: int, cause: object) -> Damaged:
        return Damaged(
            f"line {number} of the journal {self._path} is damaged",
            hint="the public paths serve what `current` names all the same; restore the file, or remove that line",
            cause=cause,
        )


def _all_of(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _whole_length(data: bytes, path: Path) -> int:
    """The length of the whole lines. The last one was being written when the power went, if it has no end or does not
    fit its checksum: it never counted."""
    whole = data.rfind(b"\n") + 1
    if whole < len(data) or not data:
        return whole
    last = data.rfind(b"\n", 0, whole - 1) + 1
    try:
        unseal(data[last:whole], str(path))
    except Damaged:
        return last
    return whole


def _fold(history: History, number: int, event: dict[str, Any]) -> None:
    at = time_of(event["at"])
    match event["event"]:
        case "reserved":
            for id in _ids(event["ids"]):
                history.reserve(id)
        case "removed":
            _ids(event["ids"])
        case "intent":
            details = table_of(event["details"])
            details |= {mark: _ids(details[mark]) for mark in ("bad", "good") if mark in details}
            details |= {mark: table_of(details[mark]) for mark in ("copies",) if mark in details}
            before, to = _id(event["from"]), _id(event["to"])
            history.open = Intent(number, text_of(event["what"]), at, before, to, text_of(event["why"]), details)
        case "outcome":
            # Not told by the number, which a line taken out by hand shifts: only one intent is ever open.
            intent, history.open = history.open, None
            if truth_of(event["done"]) and intent:
                history.carry_out(intent, at)
        case "observed":
            history.serve(ReleaseId.parse(event["id"]), at)
        case "migrating":
            history.migrations.append(Migration(ReleaseId.parse(event["release"]), text_of(event["command"])))
        case "migrated":
            history.migrated(done=truth_of(event["done"]))
        case "maintenance":
            truth_of(event["on"])
            text_of(event["why"])
        case "copied":
            history.copied[tree_name(event["tree"]), text_of(event["path"])] = len(history.served)
        case "damaged":
            history.damaged.add((tree_name(event["tree"]), ReleaseId.parse(event["version"])))
        case "sound":
            history.damaged.discard((tree_name(event["tree"]), ReleaseId.parse(event["version"])))


def _id(text: str | None) -> ReleaseId | None:
    return None if text is None else ReleaseId.parse(text)


def _ids(value: object) -> list[ReleaseId]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.80} is no list")
    return [ReleaseId.parse(id) for id in value]
