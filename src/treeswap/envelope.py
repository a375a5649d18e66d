"""One JSON object a line, whose damage is noticed: the last member is a CRC-32 of everything before it.

Records, journal lines and site.json are written so. A flipped bit, a missing half and a hand's edit are all `Damaged`.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from .errors import Damaged, NewerFormat, UsageError

FORMAT = 1
"""The format of a SITE that this program reads and writes."""

T = TypeVar("T")

_TAIL = len(',"crc":"00000000"}')


def contents(path: Path) -> bytes:
    """A file's bytes. A FIFO that somebody has put in its place has none, and is not waited for."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read()


def contents_or_none(path: Path) -> bytes | None:
    """The same, or None where nothing is there. What appears at this moment is read; a link to nowhere is an error."""
    while True:
        try:
            return contents(path)
        except NotADirectoryError:
            return None
        except FileNotFoundError:
            if not os.path.lexists(path):
                return None
            if os.path.islink(path):
                raise


def seal(value: Mapping[str, Any]) -> bytes:
    """The object as one line, ended by a newline. `value` must not be empty."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def unseal(line: bytes, what: str, hint: str | None = None) -> dict[str, Any]:
    """The object of a line. `Damaged` names `what`, and says `hint`."""
    text = line.rstrip(b"\n")
    body, tail = text[:-_TAIL] + b"}", text[-_TAIL:]
    if tail != b',"crc":"%08x"}' % zlib.crc32(body):
        raise Damaged(f"{what} is damaged", hint=hint, cause="its checksum does not fit its content")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{what} is damaged", hint=hint, cause=error)
    if not isinstance(value, dict):
        raise Damaged(f"{what} is damaged", hint=hint, cause="it is not an object")
    return value


def time_text(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# ---------------------------------------------------------------- a file that is one object, and tells its format

_NONSENSE = (KeyError, TypeError, ValueError, UsageError)


def object_of(data: bytes, parse: Callable[[dict[str, Any]], T], what: str, hint: str) -> T:
    """What `parse` makes of the file's object. `NewerFormat` and `Damaged` name `what`; the latter says `hint`."""
    value = unseal(data, what, hint)
    try:
        if count_of(value["format"]) > FORMAT:
            raise NewerFormat(
                f"{what} has format {value['format']}, and this treeswap knows {FORMAT}", hint="use a newer treeswap"
            )
        return parse(value)
    except _NONSENSE as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else error
        raise Damaged(f"{what} is damaged", hint=hint, cause=told)


def file_of(value: Mapping[str, Any], parse: Callable[[dict[str, Any]], object]) -> bytes:
    """The object as a file that can be read again. `UsageError` where it could not."""
    data = seal(value)
    try:
        parse(unseal(data, "this"))
    except _NONSENSE as error:
        raise UsageError("what was given cannot be kept in a file of the site", cause=error)
    return data


# ---------------------------------------------------------------- what a member must be; `ValueError` where it is not


def time_of(value: object) -> datetime:
    """In UTC. A time without a zone is none."""
    at = datetime.fromisoformat(text_of(value))
    if at.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value!r} is out of range") from error


def text_of(value: object) -> str:
    """A text that may be given to the system: no NUL, and no half of a character but for bytes that are no UTF-8."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r:.80} is no text")
    os.fsencode(value)
    return value


def texts_of(value: object) -> tuple[str, ...]:
    return tuple(map(text_of, list_of(value)))


def count_of(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.80} is no count")
    return value


def truth_of(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.80} is neither true nor false")
    return value


def table_of(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.80} is no object")
    return value


def list_of(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.80} is no list")
    return value


def tables_of(value: object) -> list[dict[str, Any]]:
    return [table_of(item) for item in list_of(value)]


def seconds_of(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.80} are no seconds")
    return float(value)


def path_of(value: object) -> Path | None:
    """An absolute path, without a way back up in it."""
    if value is None:
        return None
    text = text_of(value)
    if not os.path.isabs(text) or ".." in text.split("/"):
        raise ValueError(f"{text!r:.80} is no absolute path")
    return Path(text)


def path_text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def matching(pattern: re.Pattern[str], value: object) -> str:
    if not pattern.fullmatch(text := text_of(value)):
        raise ValueError(f"{text!r:.80} is not what belongs there")
    return text


def maybe(parse: Callable[[Any], T], value: object) -> T | None:
    return None if value is None else parse(value)


def by_name(values: Iterable[T], name: Callable[[T], str]) -> dict[str, T]:
    values = list(values)
    named = {name(value): value for value in values}
    if len(named) < len(values):
        raise ValueError("it names something twice")
    return named
