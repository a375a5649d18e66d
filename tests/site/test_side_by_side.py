"""Commands that run at the same time and hold no lock against each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import Bench
from treeswap import adopt as moves
from treeswap.adopt import Move
from treeswap.outcomes import Event


def at_first(step: str, act: Callable[[], object]) -> Callable[[Event], None]:
    """A listener that does this when it hears of a step for the first time."""
    acts = [act]

    def listen(event: Event) -> None:
        if event.step == step and acts:
            acts.pop()()

    return listen


def test_what_is_removed_while_it_is_verified_is_no_damage(bench: Bench) -> None:
    for number in range(4):
        bench.version(f"v{number}").deploy()
    site = bench.site
    site.listener = at_first("verify", lambda: bench.prune(keep=1, grace=0.0))
    verified = site.verify()
    assert len(bench.ids) == 2 and verified.problems == ()
    assert not bench.site.ground.history().damaged
    bench.rests()


def test_what_is_missing_of_a_release_that_nobody_removed_is_damage(bench: Bench) -> None:
    first = bench.version("v1").deploy().current
    bench.version("v2").deploy()
    lost = bench.slot("apps", first) / "f"
    site = bench.site
    site.listener = at_first("verify", lost.unlink)
    assert [(problem.tree, problem.version, problem.kind) for problem in site.verify().problems] == [
        ("apps", first, "missing")
    ]


class Died(BaseException):
    """The end of a process, between two of its calls."""


def test_what_is_being_adopted_is_no_damage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.version("v1").deploy("apps")
    bench.live("conf", {"f": "v1"})

    def die(move: Move) -> float:
        raise Died

    monkeypatch.setattr(moves, "carry_out", die)
    with pytest.raises(Died):
        bench.site.adopt(bench.request("conf", adopt=True, add=True))
    monkeypatch.undo()
    assert bench.site.status().interrupted is not None
    assert bench.site.verify().problems == ()
    bench.recover()
    assert bench.site.verify().problems == ()
    bench.rests()
