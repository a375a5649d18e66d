"""Bad input, made of good input: bytes that are spoilt, and values that are spoilt behind a checksum that fits."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from treeswap.envelope import seal

Random = random.Random

HUGE = 10**30
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, HUGE, -HUGE, 0.5, -0.5, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", ".", "..", "/", "//", "../..", "../../outside", "/a/../b", "a/b", "a\0b", "a\nb", "\x1b[2J", "%s{x}"),
    *("\ud800", "\udce9", "é", "🙂", "x" * 300, "x" * 5000, "run", "REVISION", "current", ".treeswap", "apps", "conf"),
    *("00000000000000", "99999999999999", "20200101000000", "20261122180102", "2026112218010", "٢٠٢٦١١٢٢١٨٠١٠٢"),
    *("2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-45"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "intent", "outcome", "adopt", "unadopt", "switch", "reserved"),
    *([], [[]], {}, {"": {}}, [None], ["a", 1], {"a": [1]}, [".."], ["/etc/passwd"], "true", "deployed", "adopted"),
)


def spoilt_bytes(rng: Random, data: bytes) -> bytes:
    """The file after a bad night of its disk, or of its editor."""
    at = rng.randrange(len(data) + 1)
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[at:],
        lambda: b"",
        lambda: data[:at] + bytes(rng.randrange(1, 64)) + data[at:],
        lambda: data[:at] + bytes(max(len(data) - at, 0)),
        lambda: data + data,
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: rng.randbytes(rng.randrange(1, 5000)),
        lambda: rng.choice([b"{}", b"[]", b"null", b"\n", b"\0", b"\xff\xfe", 50_000 * b"[", 50_000 * b'{"a":']),
        lambda: flipped(data, rng.randrange(len(data) * 8)) if data else b"",
        lambda: flipped(data, rng.randrange(len(data) * 8)) if data else b"",
    ]
    return rng.choice(ways)()


def flipped(data: bytes, bit: int) -> bytes:
    spoilt = bytearray(data)
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)


# ---------------------------------------------------------------- JSON with a checksum


def spoilt_line(rng: Random, line: bytes) -> bytes:
    """A sealed object with something else in it, and a checksum that fits."""
    value = json.loads(line)
    del value["crc"]
    if rng.random() < 0.1:
        return resealed_text(rng, line)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        spoil(rng, value)
    value.pop("crc", None)
    return seal(value) if value else b"{}\n"


def resealed_text(rng: Random, line: bytes) -> bytes:
    """What no writer of JSON makes: members twice, nesting and numbers beyond measure."""
    import zlib

    body = line[: line.rindex(b',"crc"')]
    member = rng.choice([b',"id":"x","id":3', b',"format":' + 5000 * b"9", b',"name":' + 20_000 * b"[", b',"a":1e999'])
    return body + member + b',"crc":"%08x"}\n' % zlib.crc32(body + member + b"}")


def spoil(rng: Random, value: Any) -> None:
    """Changes one member of an object or list, however deep."""
    places = list(_places(value))
    if not places:
        return
    holder, key = rng.choice(places)
    way = rng.randrange(8)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(["", "unknown", "crc ", "\ud800", "a\nb"])] = deepcopy(rng.choice(VALUES))
    elif way == 2 and isinstance(holder, list):
        holder.append(holder[key])
    elif way == 3:
        other, at = rng.choice(places)
        if at in other if isinstance(other, dict) else at < len(other):
            holder[key] = json.loads(json.dumps(other[at]))
    else:
        holder[key] = deepcopy(rng.choice(VALUES))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


# ---------------------------------------------------------------- manifests

PATHS = (b"..", b"../outside", b"../../../outside/secret", b"/outside", b"a/../b", b".", b"./a", b"a//b", b"a/", b"/")
FIELDS = (b"", b"0", b"-1", b"1" * 30, b"x", b"f", b"d", b"l", b"o", b"7777", b"source", b"\xff", b"\\t", b"\\x", b"\\")


def spoilt_manifest(rng: Random, data: bytes) -> bytes:
    """A manifest with another line in it, or another order, and a checksum that fits."""
    head, *lines = data.split(b"\n")[:-2]
    number = rng.randrange(len(lines))
    fields = lines[number].split(b"\t")
    way = rng.randrange(7)
    if way == 0:
        lines.insert(rng.randrange(len(lines) + 1), lines[number])
    elif way == 1:
        rng.shuffle(lines)
    elif way == 2:
        del lines[number]
    elif way == 3:
        head = rng.choice([b"treeswap manifest 2", b"treeswap manifest x", b"", b"treeswap manifest " + b"9" * 5000])
    elif way == 4:
        fields[rng.randrange(len(fields))] = rng.choice(FIELDS)
        lines[number] = b"\t".join(fields)
    else:
        fields[-1] = rng.choice(PATHS)
        lines.insert(rng.randrange(number, len(lines) + 1), b"\t".join(fields))
    return manifest_of(head, lines)


def manifest_of(head: bytes, lines: list[bytes]) -> bytes:
    body = b"\n".join([head, *lines]) + b"\n"
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def spoilt_cache(rng: Random, lines: bytes) -> bytes:
    """A cache of these lines, spoilt before its checksum was made, or after."""
    header = b"treeswap cache 1\nkey\n"
    body = header + (spoilt_bytes(rng, lines) if rng.random() < 0.7 else lines) + b"\n"
    data = body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    return data if rng.random() < 0.7 else spoilt_bytes(rng, data)
