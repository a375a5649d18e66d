"""Running a site's own commands: in the shell, with the release in their environment, their output kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

Runner = Callable[[str, Path, Mapping[str, str], Path], int]
"""(command, working directory, additions to the environment, log file) -> exit code."""


def run(command: str, directory: Path, environment: Mapping[str, str], log: Path) -> int:
    """Runs one shell command and appends its output to `log`; gives its exit code (128 + N for a signal).

    The additions go through env(1), so that the caller's own environment is inherited without being read here.
    """
    import subprocess  # not at the top: most commands run none, and it is slow to import

    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"$ {command}\n".encode(errors="surrogateescape"))
        additions = [f"{key}={value}" for key, value in environment.items()]
        finished = subprocess.run(
            ["/usr/bin/env", *additions, "/bin/sh", "-c", command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            check=False,
        )
    finally:
        os.close(fd)
    code = finished.returncode
    return code if code >= 0 else 128 - code
