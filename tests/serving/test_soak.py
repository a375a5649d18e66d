"""Deploys and rollbacks under requests: a tenth of what `make test-soak` does."""

from __future__ import annotations

import os

import pytest

from treeswap.demo import front

from .soak import soak


@pytest.fixture(autouse=True)
def short_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets want them."""
    monkeypatch.setattr("tempfile.tempdir", "/tmp")


@pytest.mark.parametrize(("nginx", "switches"), [(True, 7), (False, 3)], ids=["nginx", "socket"])
def test_no_request_fails_and_no_answer_is_mixed(nginx: bool, switches: int) -> None:
    program = front.program() if nginx else None
    if nginx and program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed")
    soaked = soak(switches, 4, program)
    print(soaked)
    it = soaked.verdict
    assert it.complaints == ()
    assert (it.errors, it.mixed, it.out_of_order) == (0, 0, 0)
    assert len(it.switches) == 1 + switches
    assert it.requests > 100 * switches
