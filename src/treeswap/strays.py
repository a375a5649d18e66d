"""What stands in a version and was not sealed with it, found without reading files.

A directory that something was put into has another time than it was sealed with; only those are listed. A stray whose
directory was given its old time again is not found here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from .manifest import Directory, Manifest, joined
from .scan import Descent, open_root
from .scan.names import shown


def find(directory: Path, manifest: Manifest, ignore: Sequence[str]) -> list[str]:
    """The paths in a version that its manifest has not, sorted; of a new directory only its own, as `name/`.

    Names that fit one of the `ignore` patterns are left out. Raises `OSError` if the version is not there.
    """
    root = open_root(directory)
    try:
        changed = [path for path, sealed in manifest.directories.items() if _changed(root, path, sealed)]
        return sorted(name for path in changed for name in _new_names(root, path, manifest, ignore))
    finally:
        os.close(root)


def _changed(root: int, path: bytes, sealed: Directory) -> bool:
    try:
        return os.stat(path or b".", dir_fd=root, follow_symlinks=False).st_mtime_ns != sealed.entry.mtime_ns
    except OSError:
        return True  # gone, or its path is too long for one call


def _new_names(root: int, path: bytes, manifest: Manifest, ignore: Sequence[str]) -> list[str]:
    names = []
    files = manifest.directories[path].entries()
    with suppress(OSError), Descent(os.dup(root)) as way:  # gone, replaced or closed to us: there is nothing to tell
        for name in path.split(b"/") if path else ():
            way.enter(name)
        with os.scandir(way.fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                new = joined(path, name)
                is_sealed = name in files or new in manifest.directories
                if not is_sealed and not any(fnmatchcase(entry.name, pattern) for pattern in ignore):
                    names.append(shown(new, is_directory=entry.is_dir(follow_symlinks=False)))
    return names
