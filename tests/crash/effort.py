"""How much of a sweep a run does: a seeded sample, all of it, or one shard of all.

TREESWAP_CRASH=full     as many as fit into an hour, all sweeps together, on two cores
SHARD=i/n               of all cases every n-th, from the i-th (1 to n) on
SEED=…                  another sample
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

_SEED = "treeswap"

T = TypeVar("T")


def is_full() -> bool:
    return os.environ.get("TREESWAP_CRASH") == "full"


def seed() -> str:
    return os.environ.get("SEED") or _SEED


def sample(
    cases: Sequence[T],
    *,
    quick: int,
    full: int | None = None,
    salt: str = "",
    sort: Callable[[T], str] | None = None,
) -> list[T]:
    """The cases to run, in their order: `quick` of them, or with TREESWAP_CRASH=full all (`full`, if that is given and
    no shard is named). `salt` makes samples of equally many cases differ; of each `sort` as many are taken as of the
    others, so that what is rare is not missed."""
    shard = os.environ.get("SHARD")
    if shard:
        number, _, shards = shard.partition("/")
        return list(cases[int(number) - 1 :: int(shards)])
    wanted = (len(cases) if full is None else full) if is_full() else quick
    if wanted >= len(cases):
        return list(cases)
    shuffled = random.Random(f"{seed()} {salt}").sample(range(len(cases)), len(cases))
    if sort is not None:
        # The first of each sort, then the second of each, and so on.
        met: Counter[str] = Counter()
        turns = {}
        for index in shuffled:
            turns[index] = met[sort(cases[index])]
            met[sort(cases[index])] += 1
        shuffled.sort(key=turns.__getitem__)
    return [cases[index] for index in sorted(shuffled[:wanted])]
