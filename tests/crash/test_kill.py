"""SIGKILL at every call of every command that changes a site: one whole release is shown, and the next command goes on.

Before each system call that changes files, or makes a change durable (the state after it is the state before the next
one, and that before the end of the process); before and after each call of `durable`; and in the middle of each write.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .effort import is_full
from .scenes import SCENES
from .sweeping import swept

KINDS = (("kill",), ("dies", "torn")) if is_full() else (("kill", "dies", "torn"),)
"""What is swept one after the other; a sample is taken of all of it."""


@pytest.mark.parametrize("scene", [scene.name for scene in SCENES])
@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_a_kill_at_any_point_leaves_one_whole_release(
    scene: str, kinds: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    first = kinds == KINDS[0]
    record_property("figures", swept(scene, *kinds, quick=8, full=None if first else 120))
