"""What is walked down beside a new version: its source, and the version that it is linked from."""

from __future__ import annotations

from types import TracebackType

from treeswap.scan import Descent


class Side:
    """A directory walked down beside the new version. Where it has no such directory, it has nothing below either."""

    def __init__(self, root_fd: int | None) -> None:
        self._way = None if root_fd is None else Descent(root_fd)
        self._lost = 0 if self._way else 1

    @property
    def fd(self) -> int | None:
        return None if self._lost or self._way is None else self._way.fd

    def enter(self, name: bytes) -> OSError | None:
        """Goes down; the reason if there is nothing there."""
        if self._lost or self._way is None:
            self._lost += 1
            return None
        try:
            self._way.enter(name)
        except OSError as refusal:
            self._lost += 1
            return refusal
        return None

    def leave(self) -> None:
        if self._lost or self._way is None:
            self._lost -= 1
        else:
            self._way.leave()

    def close(self) -> None:
        if self._way:
            self._way.close()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
