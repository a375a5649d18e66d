"""Finding all that a program started, and ending it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from treeswap.processes import family

PARENT = """
import os, subprocess, sys, time
wiped = subprocess.Popen(["/bin/sleep", "99"], env={}, start_new_session=True)
print(wiped.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def started(mark: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A program with this mark, and the child that it has, whose environment is empty."""
    environment = {**os.environ, family.MARK: mark}
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        try:
            yield program, child
        finally:
            family.kill(family.find({program.pid, child}), [], 5.0)


def pids(members: frozenset[family.Member]) -> set[int]:
    return {member.pid for member in members}


def test_descendants_are_found_by_ancestry_and_by_the_mark_of_who_started_them() -> None:
    with started("one") as (program, child), started("two") as (other, its_child):
        assert pids(family.find({program.pid})) == {program.pid, child}
        assert pids(family.find(set(), ["one"])) == {program.pid, child}
        assert pids(family.find({program.pid}, ["two"])) == {program.pid, child, other.pid, its_child}
        assert family.find(set(), ["on"]) == family.find(set()) == frozenset()


def test_who_is_killed_is_gone_and_what_has_ended_is_no_member() -> None:
    with started("one") as (program, child):
        members = family.find({program.pid})
        assert family.kill(members, ["one"], 5.0) == frozenset()
        assert family.still(members) == frozenset()
        assert family.find({program.pid, child}) == frozenset()


def test_what_is_started_meanwhile_is_killed_too() -> None:
    with started("one") as (program, child):
        (itself,) = (member for member in family.find({program.pid}) if member.pid == program.pid)
        assert family.kill([itself], [], 5.0) == frozenset()
        assert family.find({child}) == frozenset()


def test_another_with_the_pid_of_a_member_is_left_alone() -> None:
    with started("one") as (program, child):
        stranger = family.Member(program.pid, 1)
        assert family.still([stranger]) == frozenset()
        assert family.kill([stranger], [], 5.0) == frozenset()
        assert pids(family.find({program.pid})) == {program.pid, child}
