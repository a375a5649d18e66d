"""A reader: `watcher.py FILE …`, each file holding the number of the version that it belongs to.

It says `ready`, goes round all the files as fast as it can until its standard input ends, then tells as one line of
JSON how many lookups it made, how many of them failed, how many passes it made, how many were torn, and each change
that it saw: which file, the number, when the last look at the old one began, when the first look at the new one ended.

A pass is torn if a file shows an older version than one that was read before it: no single instant has such a change.
Every other pass goes the other way round, so that no order of changing one after the other looks right by chance.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

_PASSES_BETWEEN_QUESTIONS = 64  # whether to stop is asked so rarely that asking costs nothing


def main(files: list[str]) -> None:
    os.nice(5)  # readers take all the time that is left, and what switches is as quick as without them
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    clock = time.monotonic
    onward = list(enumerate(files))
    backward = onward[::-1]
    seen, last_began = [-1] * len(files), [0.0] * len(files)
    lookups = failed = passes = torn = 0
    changes: list[tuple[int, int, float, float]] = []
    while passes % _PASSES_BETWEEN_QUESTIONS or not select.select([sys.stdin], [], [], 0)[0]:
        passes += 1
        newest, is_torn = -1, False
        for number, file in onward if passes % 2 else backward:
            lookups += 1
            began = clock()
            try:
                fd = os.open(file, os.O_RDONLY)
                try:
                    version = int(os.read(fd, 20))
                finally:
                    os.close(fd)
            except (OSError, ValueError):
                failed += 1
                continue
            if version != seen[number]:
                changes.append((number, version, last_began[number], clock()))
                seen[number] = version
            last_began[number] = began
            is_torn = is_torn or version < newest
            newest = max(newest, version)
        torn += is_torn
    json.dump({"lookups": lookups, "failed": failed, "passes": passes, "torn": torn, "changes": changes}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
