"""Errors of the system at every call: exit code, last line and disk agree with each other, and nothing is left behind.

Once at one call; half-way through a write; from one call on, as on a disk that is full, gone bad or read-only; and in
what is only read.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .scenes import SCENES
from .sweeping import swept


@pytest.mark.parametrize("scene", [scene.name for scene in SCENES])
def test_an_error_at_any_call_is_told_as_what_it_did(
    scene: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("figures", swept(scene, "fail", "half", "short", "from", "read", quick=12, full=200))
