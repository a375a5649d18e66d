"""What a run of the benchmark is asked for, and which contenders race over which input."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import inputs
from .capistrano import Capistrano
from .contending import Contender
from .copying import COPYING, LinkDest, OlderLinkDest, Treeswap
from .inputs import Input
from .moving import MOVERS, Mover
from .serving import WAYS, Way
from .versioning import VERSIONING

DOCS = Path(__file__).parents[2] / "docs"

_ALL: tuple[type[Contender], ...] = (*COPYING, *VERSIONING, Capistrano)
_FEW: tuple[type[Contender], ...] = (Treeswap, LinkDest, OlderLinkDest)
_LEFT_OUT = {Capistrano.name: "left out here, for the time that it takes"}


@dataclass(frozen=True, slots=True)
class Course:
    """An input, who races over it, and how often: rounds, rounds with the slow ones, first copies. `left_out` says of
    those who do not why; `read_all` whether the contents of all files are compared, or of a sample."""

    make: Callable[[Path], Input]
    kinds: tuple[type[Contender], ...]
    rounds: int
    slow_rounds: int
    firsts: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    read_all: bool = True


_DJANGO = Course(inputs.django, _ALL, 5, 1, 2)
_TEN_THOUSAND = Course(inputs.ten_thousand, _FEW, 5, 5, 3)
_PACKAGES = Course(inputs.all_packages, (*COPYING, *VERSIONING), 3, 1, 1, _LEFT_OUT, read_all=False)
_A_MILLION = Course(inputs.a_million, _FEW, 2, 2, 1, read_all=False)

SIZES: dict[str, tuple[Course, ...]] = {
    "tiny": (Course(inputs.tiny, _ALL, 2, 2, 2),),
    "small": (_DJANGO,),
    "64k": (_DJANGO, _TEN_THOUSAND, _PACKAGES),
    "1m": (_DJANGO, _TEN_THOUSAND, _PACKAGES, _A_MILLION),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`out` is where the page and the plot go; None if they are only printed."""

    size: str
    rounds: int | None
    only: tuple[str, ...]
    switches: int
    deploys: int
    starts: int
    out: Path | None

    def wants(self, name: str) -> bool:
        return not self.only or any(name.lower().startswith(word.lower()) for word in self.only)


def asked(words: Sequence[str] | None = None) -> Asked:
    kinds: tuple[type[Contender | Mover | Way], ...] = (*_ALL, *MOVERS, *WAYS)
    names = list(dict.fromkeys(kind.name for kind in kinds))
    parser = argparse.ArgumentParser(prog="make bench", description="treeswap beside what people use instead")
    parser.add_argument(
        "--size",
        choices=SIZES,
        default=os.environ.get("SIZE") or "64k",
        help="how large the inputs are; $SIZE, else 64k",
    )
    parser.add_argument("--rounds", type=_count, help="how many rounds over each input")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help=f"those whose names begin so, of: {', '.join(names)}"
    )
    parser.add_argument("--switches", type=int, default=100, help="how many switches readers watch; 0: none")
    parser.add_argument("--deploys", type=int, default=10, help="how many deploys under requests, each way; 0: none")
    parser.add_argument("--starts", type=int, default=40, help="how many starts of the program are timed; 0: none")
    parser.add_argument("--out", type=Path, help="where the page and the plot go; docs/, unless --only is given")
    found = parser.parse_args(words)
    if found.size not in SIZES:
        parser.error(f"SIZE={found.size} is none of {', '.join(SIZES)}")
    wanted = Asked(
        found.size,
        found.rounds,
        tuple(found.only),
        found.switches,
        found.deploys,
        found.starts,
        found.out or (None if found.only or found.size == "tiny" else DOCS),
    )
    for word in wanted.only:
        if not any(name.lower().startswith(word.lower()) for name in names):
            parser.error(f"nobody's name begins with {word}; there are {', '.join(names)}")
    return wanted


def _count(word: str) -> int:
    count = int(word)
    if count < 1:
        raise ValueError
    return count
