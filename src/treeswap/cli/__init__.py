"""The command line: one file a command, each loaded when it is asked for.

What a command was asked to show goes to stdout; what it tells on the way (progress, notes, warnings, errors, the
summary of a change) goes to stderr. With --json, stdout holds exactly one object.
"""

from __future__ import annotations

_ALLOCATED = 100_000
"""How many objects that may be in cycles are made before some are looked for."""


def main() -> int:
    """The console script: runs what sys.argv asks for and returns the exit code."""
    import gc
    import sys

    # What a large tree is known by is in no cycles: to look for some in it, again and again, takes a twentieth of the
    # time of a deploy.
    gc.set_threshold(_ALLOCATED, 10, 10)
    try:
        from .program import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # before the program had its own way with signals
        return 130
