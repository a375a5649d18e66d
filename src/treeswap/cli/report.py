"""What a command answers, as text or as one JSON object."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any, TextIO

from treeswap.errors import TreeswapError

from . import words

JSON_VERSION = 1


class Answer:
    """`fields` are for machines; `text` is what was asked for, `told` what is said about a change, for people.

    An `error` makes the command fail, with its answer printed all the same: `verify` that found problems, for instance.
    """

    def __init__(
        self, fields: Mapping[str, object], *, text: str = "", told: str = "", error: TreeswapError | None = None
    ) -> None:
        self.fields, self.text, self.told, self.error = fields, text, told, error


def as_json(answer: Answer, exit_code: int, failure: Mapping[str, object] | None, current: str | None) -> str:
    """The one object that --json prints."""
    import json

    head = {"version": JSON_VERSION, "ok": exit_code == 0, "exit": exit_code, "error": failure, "current": current}
    return json.dumps({**head, **answer.fields}, default=_plain, indent=2)


def as_failure(error: TreeswapError, code: str | None = None) -> dict[str, object]:
    """The `error` of a JSON object."""
    return {
        "code": code or error.code,
        "message": error.message,
        "hint": error.hint,
        "cause": error.cause,
        "migrated": list(error.migrated),
    }


def error_text(error: TreeswapError, current: str | None, known: bool, colour: bool) -> str:
    """An error as people read it; `known` says whether there is a site whose current release can be told."""
    lines = [paint("error:", "red", colour) + " " + words.printable(error.message)]
    if error.hint:
        lines.append(paint("hint:", "cyan", colour) + " " + words.printable(error.hint))
    if error.cause:
        lines.append(paint("caused by:", "yellow", colour) + " " + words.printable(error.cause))
    if known:
        lines.append(f"current: {current or 'none'}")
    if error.migrated:
        lines.append(words.printable(f"migrations that had run already: {', '.join(error.migrated)}"))
    return "\n".join(lines)


def paint(text: str, colour: str, wanted: bool) -> str:
    if not wanted:
        return text
    import click

    return click.style(text, fg=colour, bold=True)


def has_colour(stream: TextIO) -> bool:
    """Whether colours belong on this stream: a terminal, and nobody asked for none."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def prepare_streams() -> None:
    """Makes stdout and stderr take any text, and exist: a caller may have closed them."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # The lowest free descriptor is the closed one, so that no file of the site's can get its number.
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(stream: TextIO, text: str) -> None:
    """A text and a newline, at once. A reader who went away is no failure."""
    try:
        stream.write(text.rstrip("\n") + "\n")
        stream.flush()
    except OSError as error:
        # The interpreter flushes once more at its end, and would fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        if not isinstance(error, BrokenPipeError):
            raise


def tell(text: str) -> None:
    """A line for people, on stderr."""
    write(sys.stderr, text)


def show(text: str) -> None:
    """What was asked for, on stdout."""
    write(sys.stdout, words.printable(text))


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, PurePath | date):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
