"""What a server's own program and files tell."""

from __future__ import annotations

import glob
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .seam import Unreadable

_PATIENCE = 10.0
"""Seconds for a program to say its version."""


def told_by(program: str, words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program prints, on either stream, even if it fails: Apache tells its version, and then that the file which
    it would read by default is not there. `Unreadable`."""
    try:
        done = subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env=dict(environment) if environment else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreadable(f"{program} cannot be asked: {error}")
    return (done.stdout + done.stderr).decode(errors="replace")


def text_of(file: Path) -> str:
    """`Unreadable`."""
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}")


def matching(pattern: str) -> list[Path]:
    """The files that an `include` means: one that is no pattern must be there."""
    if not glob.has_magic(pattern):
        return [Path(pattern)]
    return [Path(name) for name in sorted(glob.glob(pattern))]


def after(words: Sequence[str], flag: str) -> str | None:
    """The value of a flag among a program's words: `-c FILE` or `-cFILE`."""
    for number, word in enumerate(words):
        if word == flag:
            return words[number + 1] if number + 1 < len(words) else None
        if len(flag) == 2 and word.startswith(flag):
            return word[2:]
    return None
