"""A directory on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from treeswap.errors import SourceRefused
from treeswap.scan import Excluded, open_root


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory at `path`, which may be reached through symlinks, without what is `excluded`. One that is `ours`
    may lie in SITE."""

    path: Path
    excluded: Excluded | None = None
    ours: bool = False

    def open(self) -> int:
        try:
            return open_root(self.path)
        except FileNotFoundError as error:
            raise SourceRefused(f"the source {self.path} does not exist", cause=error.strerror) from error
        except NotADirectoryError as error:
            raise SourceRefused(f"the source {self.path} is not a directory", cause=error.strerror) from error
        except OSError as error:
            raise SourceRefused(f"the source {self.path} cannot be read", cause=error.strerror) from error

    def __str__(self) -> str:
        return str(self.path)
