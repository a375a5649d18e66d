"""nginx's configuration files as directives, includes followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .asking import matching, text_of
from .directive import DEEPEST, Directive

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<mark>[{};])"""
    r"""|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'"""
    r"""|(?P<bare>(?:\\.|\$\{\w*\}|[^\s{};\\])+)""",
    re.DOTALL,
)


def read(main: Path) -> tuple[Directive, ...]:
    """The whole configuration that begins in this file. `Unreadable`."""
    return _file(main, main.parent, 0)


def _file(file: Path, home: Path, depth: int) -> tuple[Directive, ...]:
    tokens = _tokens(text_of(file))
    return tuple(_block(tokens, file, home, depth))


def _block(tokens: Iterator[tuple[str, int, bool]], file: Path, home: Path, depth: int) -> Iterator[Directive]:
    words: list[str] = []
    line = 0
    for text, at, is_mark in tokens:
        if not is_mark:
            line = line if words else at
            words.append(text)
            continue
        if text == "}":
            return
        told, words = tuple(words), []
        if not told:
            continue
        if text == "{":
            inner = () if told[0].endswith("_by_lua_block") else tuple(_block(tokens, file, home, depth))
            if told[0].endswith("_by_lua_block"):
                _skip(tokens)
            yield Directive(told, file, line, inner)
        elif told[0] == "include" and len(told) == 2 and depth < DEEPEST:
            for included in matching(str(home / told[1])):
                yield from _file(included, home, depth + 1)
        else:
            yield Directive(told, file, line)


def _skip(tokens: Iterator[tuple[str, int, bool]]) -> None:
    """Past the brace that ends what is not nginx's own language."""
    depth = 1
    for text, _, is_mark in tokens:
        depth += {"{": 1, "}": -1}.get(text, 0) if is_mark else 0
        if not depth:
            return


def _tokens(text: str) -> Iterator[tuple[str, int, bool]]:
    """Each word or mark, the line it begins in, and whether it is a mark."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # a quote that is never closed: nginx would not take it either
            at, match = at + 1, None
            continue
        kind = match.lastgroup
        if kind == "mark":
            yield match[0], line, True
        elif kind in ("double", "single"):
            yield match[kind].replace(f"\\{match[0][0]}", match[0][0]), line, False
        elif kind == "bare":
            yield match[0], line, False
        line += match[0].count("\n")
        at = match.end()
