"""The names in a directory; no file is opened."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from pathlib import Path

from treeswap.manifest import joined

from .descent import open_root, walk


def only_here(directory: Path, elsewhere: Container[bytes], *, shared: Iterable[str] = ()) -> list[str]:
    """The paths in a directory that are not `elsewhere`, sorted; of a directory that is not there only its own, as
    `name/`.

    Shared paths and what is in them are left out, and so is what cannot be listed. Raises `OSError` if there is no
    directory.
    """
    left_out = {os.fsencode(path.rstrip("/")) for path in shared}
    found = []
    for listing in walk(open_root(directory), _pass_over):
        for name, entry in listing.entries:
            path = joined(listing.path, name)
            if path in left_out:
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
            if path not in elsewhere:
                found.append(shown(path, is_directory=is_directory))
            elif is_directory:
                listing.enter.append(name)
    return sorted(found)


def shown(path: bytes, *, is_directory: bool) -> str:
    """A path of a tree for people: a directory's ends in `/`, and the tree itself is `.`."""
    return os.fsdecode(path) + "/" * is_directory if path else "."


def _pass_over(_path: bytes, _refusal: OSError) -> None:
    """Nothing is known of a directory that cannot be listed."""
