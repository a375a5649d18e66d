"""An independent copy of a version."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from treeswap.cache import Cache
from treeswap.errors import SourceRefused
from treeswap.outcomes import Listener, silent
from treeswap.release import Tree
from treeswap.scan import NotReadable, open_root
from treeswap.scan.reading import open_file, words

from .contents import Contents
from .filecopy import copy_file, dress, file_entry, new_file
from .place import not_made, place
from .plan import work

_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""A first copy keeps the times of its source, whatever the time of the deploy is."""


def copy(source: Path, destination: Path, *, listener: Listener = silent) -> list[str]:
    """Copies a directory, or a single file, with all its times to `destination`, where nothing may be: no hard link
    leads back.

    Symlinks stay as they are, those to shared paths too. Says which sockets, fifos and devices were left out, which
    belong to running programs. Raises what `place` raises.
    """
    if not source.is_dir():
        _copy_single(source, destination)
        return []
    directory, tree, as_root = _Directory(source), Tree(source.name), _as_root()
    contents = Contents(directory, tree=tree.name, base=None, known=Cache(), as_root=as_root, listener=listener)
    contents.read(links={})
    left_out = sorted(os.fsdecode(path) for path in contents.found.others)
    contents.found.others.clear()
    contents.refuse()
    wanted = work(directory, contents, tree=tree, base=None, as_root=as_root, known=Cache())
    place(wanted, destination, now=_ANY_TIME, last_seal_ns=None, listener=listener)
    return left_out


def _copy_single(source: Path, destination: Path) -> None:
    source_dir, target_dir = open_root(source.parent), open_root(destination.parent)
    name, new_name = os.fsencode(source.name), os.fsencode(destination.name)
    try:
        with (
            os.fdopen(open_file(name, source_dir), "rb") as old,
            os.fdopen(new_file(new_name, target_dir), "wb") as new,
        ):
            try:
                _, content = copy_file(old.fileno(), new.fileno())
                dress(
                    new.fileno(),
                    file_entry(content, "source", as_root=_as_root()),
                    content.attributes,
                    atime_ns=content.status.st_atime_ns,
                    mtime_ns=content.status.st_mtime_ns,
                    what=lambda: str(source),
                )
            except BaseException:
                os.unlink(new_name, dir_fd=target_dir)
                raise
    except NotReadable as reason:
        raise SourceRefused(f"{source} cannot be copied: {reason}") from reason
    except OSError as error:
        raise not_made(error, f"a copy of {source}", destination) from error
    finally:
        os.close(source_dir)
        os.close(target_dir)


def _as_root() -> bool:
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class _Directory:
    """A version, or what is in one, as a source."""

    path: Path
    excluded: None = None

    def open(self) -> int:
        try:
            return open_root(self.path)
        except OSError as error:
            raise SourceRefused(f"{self.path} cannot be read", cause=words(error)) from error

    def __str__(self) -> str:
        return str(self.path)
