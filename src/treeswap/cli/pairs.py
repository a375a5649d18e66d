"""[NAME=]SRC:DEST, as copy takes it, and [NAME=]DEST, as adopt and init take it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from treeswap.errors import UsageError
from treeswap.release import tree_name
from treeswap.site import Pair

EXAMPLE = "for example: treeswap copy build/apps:/srv/www/apps"


def pairs(words: Iterable[str], apart: Sequence[tuple[str, str]]) -> list[Pair]:
    """The pairs of a command line: its words, then its --tree SRC DEST."""
    found = [parse_pair(word) for word in words]
    for source, dest in apart:
        name, source = _split_name(source)
        found.append(Pair(_path(source, f"--tree {source} {dest}"), _path(dest, f"--tree {source} {dest}"), name))
    if not found:
        raise UsageError("nothing to copy: no SRC:DEST given", hint=EXAMPLE)
    return found


def parse_pair(word: str) -> Pair:
    """One [NAME=]SRC:DEST."""
    name, rest = _split_name(word)
    source, colon, dest = rest.partition(":")
    if not colon:
        raise UsageError(f"{word!r} is not SRC:DEST: it has no colon", hint=EXAMPLE)
    if ":" in dest:
        raise UsageError(
            f"{word!r} has more than one colon, so that SRC and DEST cannot be told apart",
            hint="write it as two words: --tree SRC DEST",
        )
    return Pair(_path(source, word), _path(dest, word), name)


def parse_dest(word: str) -> Pair:
    """One [NAME=]DEST."""
    name, dest = _split_name(word)
    return Pair(None, _path(dest, word), name)


def _split_name(word: str) -> tuple[str | None, str]:
    """NAME and the rest. What has a slash before its '=' is a path that happens to contain one."""
    name, equals, rest = word.partition("=")
    if not equals or "/" in name or ":" in name or name.startswith(("~", ".")):
        return None, word
    return tree_name(name), rest


def _path(text: str, word: str) -> Path:
    if not text:
        raise UsageError(f"a path is missing in {word!r}", hint=EXAMPLE)
    return Path(os.path.expanduser(text))
