"""`world`: a site on a machine, for each kind of process manager and of user."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from container import Container, booted
from filesystems import CannotMount, Mounts, without

from .worlds import Contained, Hosted, World, become, ordinary, put_programs

CONTRACT = ("supervisor, ordinary user", "supervisor, root", "systemd", "systemd-user")
FOR_OTHERS = ("supervisor, root for a user", "systemd, root for a user")
COMPILING = ("-m", "compileall", "-q")
"""Each call is a process of its own, which cannot keep what it compiles."""
_numbers = itertools.count(1)
_ROOM = Path("/opt/test")


@pytest.fixture(scope="session")
def here(mounts: Mounts) -> Path:
    """A room here that any user may enter, with what is run in it."""
    room = mounts.room()
    python = next(filter(_anybody_runs, (str(Path(sys.executable).resolve()), "/usr/bin/python3")), None)
    if python is None:
        without(CannotMount("there is no Python 3.11 here that an ordinary user may run"))
        raise AssertionError
    subprocess.run([python, "-m", "venv", "--without-pip", str(room / "environment")], check=True)
    put_programs(room)
    subprocess.run([python, *COMPILING, str(room)], check=True)
    return room


def _anybody_runs(python: str) -> bool:
    tried = [
        *become(ordinary()),
        "/usr/bin/env",
        python,
        "-c",
        "import sys, venv; sys.exit(sys.version_info < (3, 11))",
    ]
    return subprocess.run(tried, capture_output=True, cwd="/").returncode == 0


@pytest.fixture(scope="session")
def container() -> Iterator[Container]:
    with ExitStack() as stack:
        try:
            machine = stack.enter_context(booted())
        except CannotMount as reason:
            without(reason)
            raise
        machine.run("python3", "-m", "venv", "--without-pip", str(_ROOM / "environment"))
        put_programs(machine.outside(_ROOM))
        machine.run("python3", *COMPILING, str(_ROOM))
        yield machine


@pytest.fixture(params=CONTRACT)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with made(request, request.param) as world:
        yield world


class made:
    """A world of its own, cleared in the end."""

    def __init__(self, request: pytest.FixtureRequest, kind: str) -> None:
        self._request, self._kind = request, kind

    def __enter__(self) -> World:
        self._world = self._new()
        return self._world

    def __exit__(self, *_: object) -> None:
        self._world.clear()

    def _new(self) -> World:
        manager, _, who = self._kind.partition(", ")
        number = next(_numbers)
        if manager == "supervisor":
            if who.startswith("root") and os.geteuid() != 0:
                without(CannotMount("only root can be root"))
            owner = 0 if who == "root" else ordinary()
            user = 0 if who.startswith("root") else ordinary()
            return Hosted(self._request.getfixturevalue("here"), number, owner=owner, user=user)
        machine = self._request.getfixturevalue("container")
        user_name = "ana" if manager == "systemd-user" else None
        owner_name = "ana" if user_name or who else "root"
        return Contained(machine, _ROOM, number, owner=owner_name, user=user_name)
