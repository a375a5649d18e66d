"""Whether a tree that came out of a deploy is the one that went in: names, kinds, modes, sizes, links, contents.

Not looked at: owners and times, which differ between the contenders by intention.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Chosen = Callable[[str], bool]


def differences(
    wanted: Path,
    found: Path,
    *,
    as_in_git: bool = False,
    instead: Mapping[str, bytes] | None = None,
    read: Chosen = lambda _: True,
) -> Iterator[str]:
    """One sentence for each difference, in no promised order.

    `instead` says what files, by their path in the tree, are to hold instead of what they hold in `wanted`. The
    contents of the files that `read` accepts are compared, in any case those in `instead`. `as_in_git` is content with
    what git keeps: no empty directories, and of a mode whether it may be executed.
    """
    instead = instead or {}
    rooms = [""]
    while rooms:
        room = rooms.pop()
        left, right = _entries(wanted / room), _entries(found / room)
        for name in sorted(left.keys() | right.keys()):
            path = f"{room}/{name}" if room else name
            if name not in right:
                if not (as_in_git and _holds_no_file(left[name])):
                    yield f"{path} is missing"
            elif name not in left:
                yield f"{path} is too much"
            else:
                trouble = _difference(left[name], right[name], as_in_git, instead.get(path), read(path))
                if trouble:
                    yield f"{path}: {trouble}"
                elif left[name].is_dir(follow_symlinks=False):
                    rooms.append(path)


def _entries(room: Path) -> dict[str, os.DirEntry[str]]:
    with os.scandir(room) as entries:
        return {entry.name: entry for entry in entries}


def _holds_no_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not any(names for _, _, names in os.walk(entry.path))


def _difference(
    left: os.DirEntry[str], right: os.DirEntry[str], as_in_git: bool, instead: bytes | None, read: bool
) -> str | None:
    one, other = left.stat(follow_symlinks=False), right.stat(follow_symlinks=False)
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return f"{stat.filemode(one.st_mode)} became {stat.filemode(other.st_mode)}"
    if stat.S_ISLNK(one.st_mode):
        text = os.readlink(left), os.readlink(right)
        return None if text[0] == text[1] else f"leads to {text[1]}, not to {text[0]}"
    looked_at = (0 if stat.S_ISDIR(one.st_mode) else 0o100) if as_in_git else 0o7777
    if (one.st_mode ^ other.st_mode) & looked_at:
        return f"{stat.filemode(one.st_mode)} became {stat.filemode(other.st_mode)}"
    if not stat.S_ISREG(one.st_mode):
        return None
    size = one.st_size if instead is None else len(instead)
    if size != other.st_size:
        return f"{other.st_size} bytes, not {size}"
    if instead is None and not read:
        return None
    content = Path(left.path).read_bytes() if instead is None else instead
    return None if content == Path(right.path).read_bytes() else "other content"
