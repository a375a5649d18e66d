"""Kills and errors at every call of commands that start, stop and run programs: processes, migrations, a maintenance
page.

What current names answers at every moment, with its own release; of each process one instance runs, and in the end
none of another release; what ran is told as having run; the page is up while it must be, and nobody takes it down who
has not put it up. A deploy follows each case, and works.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import migrated, served
from .sweeping import swept

_KINDS = ("kill", "dies", "fail", "half", "from", "loses")
_CASES = {
    "served-deploy": (4, 90),
    "served-warm": (1, 30),
    "served-first": (2, 60),
    "served-rollback": (2, 60),
    "served-recover": (2, 40),
    "migrated-deploy": (8, 180),
    "migrated-switch": (4, 100),
}
"""How many `make test` and `make test-crash` take of each scene: a case with processes lasts some seconds."""


def test_every_scene_is_swept() -> None:
    assert {scene.name for scene in (*served.SCENES, *migrated.SCENES)} == _CASES.keys()


@pytest.mark.parametrize("scene", _CASES)
def test_a_kill_or_an_error_at_any_point(scene: str, record_property: Callable[[str, object], None]) -> None:
    quick, full = _CASES[scene]
    record_property("figures", swept(scene, *_KINDS, quick=quick, full=full))
