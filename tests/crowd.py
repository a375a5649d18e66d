"""Visitors of a site, many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def crowd(visit: Callable[[], None], count: int) -> Iterator[None]:
    """So many who visit again and again, without a pause, until the block ends. `visit` does not raise."""
    over = threading.Event()

    def come() -> None:
        while not over.is_set():
            visit()

    coming = [threading.Thread(target=come) for _ in range(count)]
    for one in coming:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in coming:
            one.join()
