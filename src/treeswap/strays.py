"""What stands in a version and was not sealed with it, found without reading files.

A directory that something was put into has another time than it was sealed with; only those are listed. A stray whose
directory was given its old time again is not found here.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from .manifest import Manifest, joined
from .scan import Descent, open_root
from .scan.names import shown


def find(directory: Path, manifest: Manifest, ignore: Sequence[str]) -> list[str]:
    """The paths in a version that its manifest has not, sorted; of a new directory only its own, as `name/`.

    Names that fit one of the `ignore` patterns are left out. Raises `OSError` if the version is not there.
    """
    found: list[str] = []
    below = _directories(manifest)
    with Descent(open_root(directory)) as way:
        found += _new_names(way.fd, b"", manifest, ignore)
        still = [(b"", list(below[b""]))]
        while still:
            path, names = still[-1]
            if not names:
                still.pop()
                if still:
                    way.leave()
                continue
            name = names.pop()
            with suppress(OSError):  # gone, replaced or closed to us: nothing that could be told of it
                path = joined(path, name)
                way.enter(name)
                still.append((path, list(below[path])))
                found += _new_names(way.fd, path, manifest, ignore)
    return sorted(found)


def _directories(manifest: Manifest) -> defaultdict[bytes, list[bytes]]:
    """The names of the directories in each directory."""
    below: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for path, entry in manifest.entries.items():
        if entry.kind == "d" and path:
            above, _, name = path.rpartition(b"/")
            below[above].append(name)
    return below


def _new_names(fd: int, path: bytes, manifest: Manifest, ignore: Sequence[str]) -> list[str]:
    if os.fstat(fd).st_mtime_ns == manifest.entries[path].mtime_ns:
        return []
    names = []
    with os.scandir(fd) as entries:
        for entry in entries:
            new = joined(path, os.fsencode(entry.name))
            if new not in manifest.entries and not any(fnmatchcase(entry.name, pattern) for pattern in ignore):
                names.append(shown(new, is_directory=entry.is_dir(follow_symlinks=False)))
    return names
