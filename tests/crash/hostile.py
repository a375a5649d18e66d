"""Sources that mean harm: somebody changes them at the very moment at which they are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECRET = b"what nobody may publish"
NAMES = (
    *(b".x.0123456789abcdef.tswap", b"current", b"releases", b"trees", b"moving", b"REVISION", b"run", b"shared"),
    *(b".treeswap-site", b"treeswap.toml", b"new\nline", b"\xff\xfe", b"n" * 255, b"-rf", b"--help", b"~", b"$HOME"),
    *(b"...", b"..a", b" ", b"*", b"\\t", b"a\tb", b"\\", b"\x1b[31m", b"20261122180102", b"sha256 0", b"%s"),
)
"""Names that look like ours, like options, or like nothing at all."""


class Racer:
    """Somebody who puts a symlink in the place of an entry below `root`, just before the `nth` time that one is opened.

    A directory is replaced by a link to `outside`, a file by one to the secret in it.
    """

    def __init__(self, root: Path, outside: Path, nth: int) -> None:
        self.root, self.outside, self.nth = root.resolve(), outside, nth
        self.opened = 0
        self.replaced: Path | None = None
        self._open: Callable[..., int] = os.open

    def __call__(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        self._race(path, dir_fd)
        return self._open(path, flags, mode, dir_fd=dir_fd)

    def _race(self, path: Any, dir_fd: int | None) -> None:
        above = Path(os.readlink(f"/proc/self/fd/{dir_fd}")) if dir_fd is not None else Path("/")
        there = above / os.fsdecode(path)
        if self.root not in there.parents or there.name == ".." or not os.path.lexists(there):
            return
        self.opened += 1
        if self.opened != self.nth or there.is_symlink():
            return
        target = self.outside if there.is_dir() else self.outside / "secret"
        there.rename(self.root.with_name("aside"))
        there.symlink_to(target)
        self.replaced = there


@contextmanager
def racing(root: Path, outside: Path, nth: int) -> Iterator[Racer]:
    """Races against all that this process opens meanwhile."""
    racer = Racer(root, outside, nth)
    os.open = racer
    try:
        yield racer
    finally:
        os.open = racer._open
