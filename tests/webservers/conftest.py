from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import Bench

from .servers import PROGRAMS
from .stage import Scene, scene


@pytest.fixture(params=PROGRAMS)
def front_of(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Scene]:
    """A site with each of the web servers in turn."""
    with scene(request.param, bench) as made:
        yield made
