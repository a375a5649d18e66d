"""What all tests share: this directory is importable, and `bench` makes a site to try things on."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("bench")

from bench import bench, bench_on  # noqa: E402, F401
from builder import builder  # noqa: E402, F401
from filesystems import filesystem, mounts, room  # noqa: E402, F401
