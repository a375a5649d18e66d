"""One JSON object a line, whose damage is noticed: the last member is a CRC-32 of everything before it.

Records, journal lines and site.json are written so. A flipped bit, a missing half and a hand's edit are all `Damaged`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .errors import Damaged

_TAIL = len(',"crc":"00000000"}')


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
    except ValueError as error:
        raise Damaged(f"{what} is damaged", hint=hint, cause=error)
    if not isinstance(value, dict):
        raise Damaged(f"{what} is damaged", hint=hint, cause="it is not an object")
    return value


def time_text(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)
