"""What a command does to filesystems, call after call, and what it asks them to make durable.

Before each call that changes a file or a directory, everything that there is is looked at; what differs from the last
look is what the call before did. So it does not matter by which calls the program works, and none can be overlooked.

All of this is done to a process of a test, from outside of the product.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .replay_syncs import CHANGES, Syncing, on_syncs

UNCHANGED = ("src", "elsewhere")
"""What is beside the site in a mounted filesystem, and is never changed."""

Id = tuple[int, int]
"""Which filesystem, by the order of the mounts, and which inode."""


@dataclass(frozen=True, slots=True)
class Inode:
    """`content`: a file's bytes, a symlink's text, a directory's names."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: bytes | str | Mapping[str, Id]


Look = Mapping[Id, Inode]


@dataclass(frozen=True, slots=True)
class Step:
    """What one call changed, or made."""

    changed: Look


@dataclass(frozen=True, slots=True)
class Sync:
    """`place` asked for a sync, of a file or directory or, if `what` is the number of a mount, of all that is in it."""

    place: str
    kind: str
    what: Id | int


Event = Step | Sync


def look(mounts: Sequence[Path]) -> Look:
    """Everything in these filesystems, by inode."""
    found: dict[Id, Inode] = {}
    for number, mount in enumerate(mounts):
        _look_into(str(mount), number, found, UNCHANGED)
    return found


def root_of(mounts: Sequence[Path]) -> list[Id]:
    return [(number, os.stat(mount).st_ino) for number, mount in enumerate(mounts)]


def _look_into(path: str, number: int, found: dict[Id, Inode], but: Sequence[str] = ()) -> Id:
    status = os.lstat(path)
    id = (number, status.st_ino)
    if id in found:  # a hard link
        return id
    content: bytes | str | dict[str, Id]
    match status.st_mode & 0o170000:
        case 0o040000:
            names = [name for name in os.listdir(path) if name not in but]
            content = {name: _look_into(f"{path}/{name}", number, found) for name in sorted(names)}
        case 0o120000:
            content = os.readlink(path)
        case _:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            content = os.read(fd, status.st_size + 1)
            os.close(fd)
    found[id] = Inode(status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return id


class Watch:
    """Writes what happens in these filesystems to a file, from a look that was taken before on. The process is killed
    when there are `last` events, if that is given: before the sync that is the last of them."""

    def __init__(self, mounts: Sequence[Path], seen: Look, log: Path, last: int | None = None) -> None:
        self._mounts, self._seen, self._log, self._last = mounts, seen, log, last
        self._events = 0
        self._devices = {os.stat(mount).st_dev: number for number, mount in enumerate(mounts)}
        self._busy = False

    def begin(self) -> None:
        """Called in the process that becomes the program."""
        on_syncs(self._sync)
        sys.addaudithook(self._call)

    def note(self) -> None:
        """Looks, and writes down what differs from the last time."""
        if self._busy:
            return
        self._busy = True
        try:
            now = look(self._mounts)
            changed = {id: inode for id, inode in now.items() if self._seen.get(id) != inode}
            if changed:
                self._put(Step(changed))
            self._seen = now
        finally:
            self._busy = False

    def _call(self, event: str, arguments: Sequence[Any]) -> None:
        if event in CHANGES or (event == "open" and _writes(arguments)):
            self.note()

    def _sync(self, syncing: Syncing) -> int:
        self.note()
        status = os.fstat(syncing.fd)
        number = self._devices.get(status.st_dev)
        if number is not None:
            self._put(
                Sync(syncing.place, syncing.kind, number if syncing.kind == "filesystem" else (number, status.st_ino))
            )
        return syncing.carry_out()

    def _put(self, event: Event) -> None:
        busy, self._busy = self._busy, True
        with self._log.open("ab") as log:
            pickle.dump(event, log)
        self._busy = busy
        self._events += 1
        if self._events == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _writes(arguments: Sequence[Any]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def watched(
    mounts: Sequence[Path], log: Path, run: Callable[[Callable[[], None]], None], last: int | None = None
) -> tuple[Look, list[Event]]:
    """What there was before `run`, and what happened in it; `run` gets what its process must call first."""
    before = look(mounts)
    log.unlink(missing_ok=True)
    log.touch()
    run(Watch(mounts, before, log, last).begin)
    events = [*_read(log)]
    # What came after the last call that was seen coming.
    state = dict(before)
    for event in events:
        if isinstance(event, Step):
            state |= event.changed
    changed = {id: inode for id, inode in look(mounts).items() if state.get(id) != inode}
    return before, [*events, Step(changed)] if changed else events


def _read(log: Path) -> Iterator[Event]:
    with log.open("rb") as opened:
        while True:
            try:
                yield pickle.load(opened)
            except EOFError:
                return
