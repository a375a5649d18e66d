"""nginx in front of the site, on loopback, for as long as a block runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from treeswap.errors import Failed

_STARTS_WITHIN = 10.0
_MAIN = """\
daemon off;
{user}pid {directory}/pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    types {{ text/css css; text/html html; text/plain txt; }}
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""


def program() -> str | None:
    """nginx, where it is installed."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(nginx: str, directory: Path, site: str, port: int) -> Iterator[None]:
    """Runs it with the configuration `site`, as treeswap prints it, but on loopback only. `Failed` if it does not
    start."""
    directory.mkdir()
    # Started by root, it would let somebody else answer, who cannot enter a directory that is only ours.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (directory / "main.conf").write_text(_MAIN.format(user=user, directory=directory))
    (directory / "site.conf").write_text(site.replace(f"listen {port};", f"listen 127.0.0.1:{port};"))
    # In a session of its own: Ctrl-C is for us, who end it when nobody asks it any more.
    with (directory / "out").open("wb") as out:
        process = subprocess.Popen(
            [nginx, "-c", str(directory / "main.conf"), "-e", str(directory / "error.log")],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                told = (directory / "out").read_text(errors="replace")
                raise Failed("nginx did not start", cause=told.strip() or None)
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
