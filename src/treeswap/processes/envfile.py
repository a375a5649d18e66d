"""Files of NAME=VALUE lines, such as people call `.env`. What they hold is shown to nobody.

# a comment; empty lines are let be, and `export` may stand before a name
PLAIN=everything up to the end, or to a # after a space; backslashes and quotes in it are themselves
SINGLE='as it is'
DOUBLE="as it is, but for \\" and \\\\ and \\n"
"""

from __future__ import annotations

import re
from pathlib import Path

from treeswap.errors import Failed

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=(?:
        \s*'(?P<single>[^']*)'(?:\s+\#.*)?
      | \s*"(?P<double>(?:[^"\\]|\\.)*)"(?:\s+\#.*)?
      | (?P<plain>(?!\s*['"]).*?)(?:\s+\#.*)?
    )\s*""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")


def read(file: Path) -> dict[str, str]:
    """`Failed` names the file and the number of a line, never what stands there: it may be a secret."""
    try:
        lines = file.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error if isinstance(error, OSError) else "it is no UTF-8"
        raise Failed(f"the env file {file} cannot be read", hint="make it, or take it out of env_files", cause=cause)
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise Failed(
                f"the env file {file} has no NAME=VALUE in line {number}",
                hint="a name has letters, digits and _ only; a quote that opens a value has to close it",
            )
        found[match["name"]] = _value(match)
    return found


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _ESCAPED.sub(lambda m: {"n": "\n", '"': '"', "\\": "\\"}.get(m[1], m[0]), match["double"])
    return match["single"] if match["single"] is not None else match["plain"].strip()
