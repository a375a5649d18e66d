"""Feeding a reader: each input gives a value, or an error of the product's own, in time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from treeswap.errors import ConfigError, Damaged, NewerFormat, PlaceRefused

from .effort import is_full, seed
from .fuzz import Random

Read = Callable[[bytes], object]
Way = Callable[[Random, bytes], bytes]
SECONDS = 5.0
"""Longer than any reader may take over these few bytes."""


def rounds(quick: int) -> int:
    return quick * 10 if is_full() else quick


def fed(read: Read, data: bytes, told: str) -> object:
    """What a reader makes of these bytes: its value, or None for an error of its own that says what to do."""
    began = time.monotonic()
    try:
        value = read(data)
    except (Damaged, NewerFormat, ConfigError, PlaceRefused) as error:
        assert error.message and error.exit_code in (2, 12), told
        value = None
    except Exception as error:
        raise AssertionError(f"{told}: {type(error).__name__}: {error}\n{data[:2000]!r}") from error
    assert time.monotonic() - began < SECONDS, f"{told}: hung over {data[:2000]!r}"
    return value


def spoilings(
    name: str, data: bytes, ways: tuple[Callable[[Random, bytes], bytes], ...], quick: int
) -> Iterator[tuple[str, bytes]]:
    for number in range(rounds(quick)):
        rng = random.Random(f"{seed()} {name} {number}")
        yield f"SEED={seed()}, {name} {number}", rng.choice(ways)(rng, data)
