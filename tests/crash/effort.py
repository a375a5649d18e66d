"""How much of a sweep a run does: a seeded sample, all of it, or one shard of all.

TREESWAP_CRASH=full     as many as fit into an hour, all sweeps together, on two cores
SHARD=i/n               of all cases every n-th, from the i-th (1 to n) on
SEED=…                  another sample
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

_SEED = "treeswap"

T = TypeVar("T")


def is_full() -> bool:
    return os.environ.get("TREESWAP_CRASH") == "full"


def seed() -> str:
    return os.environ.get("SEED") or _SEED


def sample(cases: Sequence[T], *, quick: int, full: int | None = None, salt: str = "") -> list[T]:
    """The cases to run, in their order: `quick` of them, or with TREESWAP_CRASH=full all (`full`, if that is given and
    no shard is named). `salt` makes samples of equally many cases differ."""
    shard = os.environ.get("SHARD")
    if shard:
        number, _, shards = shard.partition("/")
        return list(cases[int(number) - 1 :: int(shards)])
    wanted = (len(cases) if full is None else full) if is_full() else quick
    if wanted >= len(cases):
        return list(cases)
    chosen = random.Random(f"{seed()} {salt}").sample(range(len(cases)), wanted)
    return [cases[index] for index in sorted(chosen)]
