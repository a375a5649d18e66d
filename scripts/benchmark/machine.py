"""What a run ran on and with: machine, filesystem, versions, date."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import inputs as fetched
from treeswap.demo import front

from .asking import Asked
from .copying import TREESWAP
from .fetching import older_rsync
from .launching import run

_VERSIONS = {
    "treeswap": [TREESWAP, "--version"],
    "rsync": ["rsync", "--version"],
    "ostree": ["ostree", "--version"],
    "git": ["git", "--version"],
    "Capistrano": ["cap", "--version"],
}


def facts(room: Path, wanted: Asked) -> dict[str, str]:
    asked = f"SIZE={wanted.size}" + (f", {wanted.rounds} rounds" if wanted.rounds else "")
    if wanted.only:
        asked += f", only {', '.join(wanted.only)}"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "asked for": asked,
        "machine": f"{os.cpu_count()} processors ({_processor()}), {_memory() / 1e9:.0f} GB of memory",
        "kernel": f"{platform.system()} {platform.release()}",
        "filesystem": _told(["df", "--output=fstype", str(room)]).split()[-1],
        "Python": platform.python_version(),
        **dict(_versions()),
        "memory of a program that does nothing, as measured": f"{run([['true']]).peak / 1e6:.0f} MB",
    }


def _versions() -> Iterator[tuple[str, str]]:
    for name, command in _VERSIONS.items():
        yield name, _first_version(_told(command))
    yield "nginx", _nginx()
    for package in ("gunicorn", "Django"):
        yield package, version(package)
    try:
        yield "rsync 3.2.7", _first_version(_told([str(older_rsync()), "--version"]))
    except fetched.Unavailable as why:
        yield "rsync 3.2.7", f"missing: {why}"


def _nginx() -> str:
    """It tells on stderr, behind its name and a slash."""
    program = front.program()
    told = subprocess.run([program, "-v"], capture_output=True, text=True).stderr if program else ""
    return _first_version(told.replace("/", " "))


def _first_version(told: str) -> str:
    """The first word that has digits and dots."""
    words = (word.strip("'\",()") for word in told.split())
    return next((word for word in words if word[:1].isdigit() and "." in word), "missing")


def _told(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return ""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
