"""Errors of the system at every call: exit code, last line and disk agree with each other, and nothing is left behind.

Once at one call; half-way through a write; from one call on, as on a disk that is full, gone bad or read-only; and in
what is only read.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .effort import is_full
from .scenes import SCENES
from .sweeping import swept

KINDS = (("fail", "half", "short"), ("from", "read")) if is_full() else (("fail", "half", "short", "from"),)
"""What is swept one after the other; a sample is taken of all of it."""


@pytest.mark.parametrize("scene", [scene.name for scene in SCENES])
@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_an_error_at_any_call_is_told_as_what_it_did(
    scene: str, kinds: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    first = kinds == KINDS[0]
    record_property("figures", swept(scene, *kinds, quick=8, full=None if first else 120))
