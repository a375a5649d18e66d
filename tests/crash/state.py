"""A state of the disk in one line, so that two runs which came out alike need not be judged twice.

Left out is what differs from run to run and means nothing: random names, digests of what has times in it, inodes. Ids
are told by their order, and times by whether they are older than the run.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_ID = re.compile(r"\b20\d{12}\b")
_VARIES = re.compile(r'\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\.[0-9a-f]{16}\.|"crc":"[0-9a-f]{8}"|"pid": \d+')
_TIMES = re.compile(r"\d+-\d+-\d+T[\d:.]+Z?|\b\d{13,}\b")


def fingerprint(directories: Iterable[Path], began_ns: int) -> str:
    """Equal for states that no later command could tell apart. `began_ns` is when the run began."""
    lines = sorted(line for root in directories for line in _entries(root, began_ns))
    text = "\n".join(lines)
    for order, id in enumerate(sorted(set(_ID.findall(text)))):
        text = text.replace(id, f"id{order}")
    return hashlib.sha256(_TIMES.sub("time", text).encode()).hexdigest()


def _entries(root: Path, began_ns: int) -> Iterator[str]:
    for here, directories, files in os.walk(root):
        for name in (".", *directories, *files):
            path = os.path.join(here, name)
            status = os.lstat(path)
            is_file = stat.S_ISREG(status.st_mode)
            content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else _content(path) if is_file else ""
            age = "new" if status.st_mtime_ns > began_ns else "old"
            links = status.st_nlink if is_file else 0
            told = (path, oct(status.st_mode), status.st_uid, status.st_gid, links, age, content)
            yield _VARIES.sub("·", " ".join(map(str, told)))


def _content(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read()
    if "/.treeswap/cache/" in path:
        return str(data.count(b"\n"))
    if len(data) < 20_000:
        return data.decode("utf-8", "surrogateescape").encode("unicode_escape", "backslashreplace").decode()
    return hashlib.sha256(data).hexdigest()[:40]
