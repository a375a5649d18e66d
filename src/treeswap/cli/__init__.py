"""The command line: one file a command, each loaded when it is asked for.

What a command was asked to show goes to stdout; what it tells on the way (progress, notes, warnings, errors, the
summary of a change) goes to stderr. With --json, stdout holds exactly one object.
"""

from __future__ import annotations


def main() -> int:
    """The console script: runs what sys.argv asks for and returns the exit code."""
    import sys

    try:
        from .program import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # before the program had its own way with signals
        return 130
