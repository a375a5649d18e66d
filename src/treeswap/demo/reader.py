"""A reader process: `python -m treeswap.demo.reader NAME PATH FILE [PATH FILE …]`, with `--pin` before the name for one
that makes each pass under `Site.pin()`.

It says `ready`, reads until its standard input ends (so that it never outlives who started it, however that dies), then
tells its `Track` as JSON, in a list.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from treeswap.errors import NotASite, TreeswapError

from .tracks import Kind, Look, Stretch, Track

_CLOSE = 48  # lookups that are kept before a change of version, and after it
_PASSES_BETWEEN_QUESTIONS = 64  # whether to stop is asked so rarely that asking costs nothing
_REST = 0.003
"""Seconds between two questions whether to stop: two processors have more to do than this."""
_VERSION = re.compile(rb"[0-9]+")

Files = Sequence[str]
Opened = Callable[[], AbstractContextManager[Files]]


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us, who then closes our input
    os.nice(19)  # commands, processes and visitors come first
    pinned = arguments[0] == "--pin"
    name, *rest = arguments[pinned:]
    trees = list(zip(rest[::2], rest[1::2], strict=True))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    track = read(
        name, "process" if pinned else "path", opened=_pins(trees) if pinned else _public(trees), stop=_input_ended
    )
    json.dump([track.to_json()], sys.stdout)


def _input_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], _REST)[0])


def _public(trees: list[tuple[str, str]]) -> Opened:
    """The files by their public paths: every lookup goes through `current` anew."""
    files = [f"{path}/{file}" for path, file in trees]

    @contextmanager
    def opened() -> Iterator[Files]:
        yield files

    return opened


def _pins(trees: list[tuple[str, str]]) -> Opened:
    """The files in one release, held for the length of a pass. Waits until there is a site."""
    from treeswap.site import Site

    while True:
        try:
            site = Site.open(Path(trees[0][0]))
            break
        except NotASite:
            time.sleep(0.02)
            if _input_ended():
                raise SystemExit("there never was a site") from None
    names = {tree.path: name for name, tree in site.trees.items()}
    files = [(names[Path(path)], file) for path, file in trees]

    @contextmanager
    def opened() -> Iterator[Files]:
        with site.pin() as release:
            yield [f"{release[name]}/{file}" for name, file in files]

    return opened


def read(name: str, kind: Kind, *, opened: Opened, stop: Callable[[], bool]) -> Track:
    """Passes through all files until `stop`. This is the hot loop: what is not needed for the picture is not kept."""
    clock = time.monotonic
    seen = ""
    first_ended = last_began = 0.0
    lookups = passes = failed = to_keep = 0
    failures: list[str] = []
    stretches: list[Stretch] = []
    straddled: list[float] = []
    recent: deque[tuple[float, int, str]] = deque(maxlen=2 * _CLOSE)
    changes: list[tuple[Look, ...]] = []

    while passes % _PASSES_BETWEEN_QUESTIONS or not stop():
        passes += 1
        changed = 0
        try:
            with opened() as files:
                for tree, file in enumerate(files):
                    began = clock()
                    lookups += 1
                    version = version_in(file)
                    recent.append((began, tree, version))
                    if version != seen:
                        if seen:
                            stretches.append(Stretch(seen, first_ended, last_began))
                            changed += tree > 0
                            to_keep = _CLOSE
                        seen, first_ended = version, clock()
                    elif to_keep:
                        to_keep -= 1
                        if not to_keep:
                            changes.append(tuple(Look(*look) for look in recent))
                    last_began = began
        except (OSError, ValueError, TreeswapError) as error:
            failed += 1
            if len(failures) < 10:
                failures.append(f"{type(error).__name__}: {error}")
        if changed:
            straddled.append(began)
    if seen:
        stretches.append(Stretch(seen, first_ended, last_began))
    return Track(
        name, kind, lookups, passes, failed, tuple(failures), tuple(stretches), tuple(straddled), tuple(changes)
    )


_known: dict[bytes, str] = {}


def version_in(file: str) -> str:
    """The version that a file says. `OSError` if it cannot be read, `ValueError` if it says none: both are failures."""
    fd = os.open(file, os.O_RDONLY)
    try:
        content = os.read(fd, 100)
    finally:
        os.close(fd)
    if content not in _known:
        found = _VERSION.search(content)
        if not found:
            raise ValueError(f"{file} says no version: {content!r}")
        _known[content] = found[0].decode()
    return _known[content]


if __name__ == "__main__":
    main(sys.argv[1:])
