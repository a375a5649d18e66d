"""A PostgreSQL cluster of the tests' own, on loopback, with one role, which may do everything and has a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filesystems import CannotMount, without

_OWNER = "postgres"
_SETTINGS = {"listen_addresses": "127.0.0.1", "fsync": "off", "max_connections": "50", "shared_buffers": "16MB"}


@contextmanager
def cluster(role: str, password: str) -> Iterator[int]:
    """One that runs until the block ends; gives its port. Whoever has no PostgreSQL is skipped, or fails in CI."""
    programs = _programs()
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="treeswap-postgres-") as directory:
        room = Path(directory)
        if os.geteuid() == 0:
            shutil.chown(room, _OWNER)
        (room / "password").write_text(password)
        (room / "password").chmod(0o644)
        _run(room, programs / "initdb", "--auth=scram-sha-256", "--username", role, "--pwfile", room / "password",
             "--no-sync", "--no-locale", "--encoding=UTF8", room / "data")  # fmt: skip
        told = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(room)}
        options = " ".join(f"-c {name}={value}" for name, value in told.items())
        manage: list[str | Path] = [programs / "pg_ctl", "--pgdata", room / "data", "--wait", "--silent"]
        _run(room, *manage, "--log", room / "log", "--options", options, "start")
        try:
            yield port
        finally:
            _run(room, *manage, "--mode=immediate", "stop")


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "none")]
    if not found[-1].is_file() or shutil.which("createdb") is None:
        without(CannotMount("PostgreSQL is not installed"))
    return found[-1].resolve().parent


def _run(room: Path, *words: str | Path) -> None:
    """It refuses to run as root."""
    user = _OWNER if os.geteuid() == 0 else None
    with (room / "said").open("ab") as said:
        done = subprocess.run(
            list(map(str, words)), stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", user=user, group=user
        )
    assert done.returncode == 0, "".join(
        path.read_text(errors="replace") for path in (room / "said", room / "log") if path.exists()
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
