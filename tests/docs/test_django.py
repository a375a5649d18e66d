"""The page about Django, typed as it stands, as an ordinary user, while visitors come: none of them may meet an error
or a mixture of releases."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import inputs
import treeswap
from filesystems import CannotMount, without
from webservers.servers import free_port, program

from .conftest import BIN
from .database import cluster
from .pages import DOCS
from .typing_along import Elsewhere, Typist, alternatives, chosen
from .visitors import Met, visitors

PAGE = DOCS / "django.md"
VISITORS_COME = "4. Taking over"
WANTED = {"/": 2, "/static/site.css": 1}
"""The page that visitors ask for tells the version of its template and of the code, the style sheet its own."""
FIRST = {"Either SQLite", "Either nginx serves static files", "Either gunicorn"}
SECOND = {"Or PostgreSQL", "Or WhiteNoise does", "Or uvicorn"}
ORDINARY = ["unshare", "--user", "--map-user=1", "--map-group=1"]
"""Takes root's rights away, as in `without_rights`; the user has a name, since the application runs as them."""


@pytest.fixture(scope="module")
def wheels() -> Path:
    try:
        return inputs.packages()
    except inputs.Unavailable as reason:
        without(CannotMount(str(reason)))
        raise


@pytest.fixture
def ordinary() -> list[str]:
    if os.geteuid() != 0:
        return []
    if subprocess.run([*ORDINARY, "true"], capture_output=True, check=False).returncode != 0:
        without(CannotMount("root cannot give up its rights here: there are no user namespaces"))
    return ORDINARY


def test_each_alternative_is_typed() -> None:
    assert alternatives(PAGE) == FIRST | SECOND


def test_gunicorn_nginx_and_sqlite(room: Path, wheels: Path, ordinary: list[str]) -> None:
    judge(typed(room, wheels, ordinary, FIRST, {}))


def test_uvicorn_whitenoise_and_postgresql(room: Path, wheels: Path, ordinary: list[str]) -> None:
    with cluster("ana", "the-password-of-ana") as port:
        judge(typed(room, wheels, ordinary, SECOND, {"5432": port}))


def judge(met: Met) -> None:
    print(f"{met.requests} requests, {len(met.errors)} errors, {len(met.mixed)} mixed")
    assert not met.errors
    assert not met.mixed
    assert met.in_maintenance
    assert met.versions == {"v1", "v2", "v3", "v4"}


def typed(home: Path, wheels: Path, within: list[str], taken: set[str], ports: Mapping[str, int]) -> Met:
    """Types the page with these alternatives, and gives what visitors met from the moment that it takes a site over."""
    program("nginx")
    ports = {"8080": free_port(), "8000": free_port(), **ports}
    told, met = chosen(PAGE, taken), None
    assert {block.heading for block in told} >= taken | {VISITORS_COME}
    with started_in(home), Elsewhere(home, [BIN], ports, within=within) as shell, ExitStack() as stack:
        shell.run(f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={wheels} PIP_DISABLE_PIP_VERSION_CHECK=1")
        typist = Typist(home, shell)
        for block in told:
            if block.heading == VISITORS_COME and met is None:
                met = stack.enter_context(visitors(ports["8080"], WANTED))
            typist.do(block)
    assert met is not None
    return met


@contextmanager
def started_in(home: Path) -> Iterator[None]:
    """Ends in any case what the page has started in the background."""
    try:
        yield
    finally:
        site = treeswap.Site.at(home / "site")
        if site.exists:
            manager = site.manager("supervisor")
            for unit in manager.running():
                manager.stop(unit, 0)
            manager.remove()
        for file in (home / "live/gunicorn.pid", home / "nginx/nginx.pid"):
            if file.exists():
                os.kill(int(file.read_text()), signal.SIGTERM)
