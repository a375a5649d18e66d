"""SIGKILL at every call of every command that changes a site: one whole release is shown, and the next command goes on.

Before each system call that changes files, or makes a change durable (the state after it is the state before the next
one, and that before the end of the process); before and after each call of `durable`; and in the middle of each write.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .scenes import SCENES
from .sweeping import swept


@pytest.mark.parametrize("scene", [scene.name for scene in SCENES])
def test_a_kill_at_any_point_leaves_one_whole_release(
    scene: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("figures", swept(scene, "kill", "dies", "torn", quick=9, full=100))
