"""Work that another process does meanwhile, where there is a processor to spare.

The other process is a child that ends with this one. What it cannot do, whoever asked does alone: it never fails.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from . import durable

T = TypeVar("T")

_HIGHEST = 1 << 20
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Aside(Generic[T]):
    """What `work` gives, which must be plain values, worked out by a child; a context manager that ends it.

    A child that only looks has none of this process's descriptors, and so none of its locks. One that writes
    `keeps_descriptors`: when this process is killed, its locks are free once the child has ended, too.
    """

    def __init__(self, work: Callable[[], T], *, keeps_descriptors: bool = False) -> None:
        self._pid = 0
        self._answer = -1
        parent, answer = os.getpid(), -1
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            # No handler of this process may run in the child: it would clear away what this one still works on.
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            self._answer, answer = os.pipe()
            self._pid = os.fork()
        except OSError:
            self._pid = 0
        else:
            if self._pid == 0:
                _work(work, answer, parent, keeps_descriptors=keeps_descriptors)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if answer >= 0:
            os.close(answer)

    def result(self) -> T | None:
        """Waits for it; None if it came to nothing."""
        if not self._pid:
            return None
        import pickle  # not at the top: most never need it, and it is slow to import

        try:
            with os.fdopen(self._answer, "rb", closefd=False) as answer:
                result: T = pickle.load(answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return result

    def __enter__(self) -> Aside[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._answer >= 0:
            os.close(self._answer)
        if self._pid:
            try:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # whoever uses this library waits for all children


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(work: Callable[[], T], answer: int, parent: int, *, keeps_descriptors: bool) -> None:
    """The child, from its beginning to its end."""
    try:
        gc.disable()  # it would touch, and so copy, the memory that both share
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        durable.die_with_parent(parent)
        if not keeps_descriptors:
            os.closerange(3, answer)
            os.closerange(answer + 1, _HIGHEST)
        import pickle

        durable.write_all(answer, pickle.dumps(work(), pickle.HIGHEST_PROTOCOL))
    finally:
        os._exit(0)
