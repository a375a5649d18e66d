"""How single values are written: durations and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = 1e10
"""Seconds: more than three hundred years."""
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]?)\s*")


def duration(value: object) -> float:
    """Seconds, of a number or a text such as "90", "60s", "5m", "24h" or "7d". `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST:
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in UNITS or float(match[1]) * UNITS[match[2]] > LONGEST:
        raise ValueError(f'{value!r} is not a duration; write seconds, or a text like "60s", "5m", "24h" or "7d"')
    return float(match[1]) * UNITS[match[2]]


def duration_text(seconds: float) -> str:
    """A duration as a configuration has it."""
    for unit in ("h", "m", "s"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:.0f}{unit}"
    return f"{seconds:g}s"


def expand(text: str, environ: Mapping[str, str]) -> str:
    """A path with its leading `~` or `~user` replaced. `ValueError`."""
    if not text or "\0" in text:
        raise ValueError("the path is empty" if not text else "a path cannot contain a NUL")
    if not text.startswith("~"):
        return text
    import pwd

    head, slash, rest = text.partition("/")
    if head == "~" and environ.get("HOME"):
        return environ["HOME"] + slash + rest
    try:
        user = pwd.getpwnam(head[1:]) if head != "~" else pwd.getpwuid(os.getuid())
    except KeyError:
        raise ValueError(f"{head} is nobody's home directory")
    return user.pw_dir + slash + rest
