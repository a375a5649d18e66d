"""The other end of puppet.py."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from treeswap.errors import Failed


class Caller:
    """A process that calls a manager, started by these words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def call(self, method: str, *arguments: object) -> Any:
        """What comes of it; `Failed` where that is a failure."""
        self._ask(method, arguments)
        return self._answer()

    def begin(self, method: str, *arguments: object) -> Callable[[], Any]:
        """Its only call; gives what waits for what comes of it."""
        self._ask(method, arguments)

        def wait() -> Any:
            try:
                return self._answer()
            finally:
                self.end()

        return wait

    def end(self) -> None:
        self._stdin.close()
        self._process.wait()
        self._stdout.close()

    def _ask(self, method: str, arguments: Sequence[object]) -> None:
        self._stdin.write(pickle.dumps((method, arguments)))
        self._stdin.flush()

    def _answer(self) -> Any:
        outcome, result, *rest = pickle.load(self._stdout)
        if outcome == "failed":
            raise Failed(result, hint=rest[0], cause=rest[1])
        return result
