"""Where a demonstration takes place: directories of its own, of which nothing is left, nor of what ran in them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treeswap.api import Site
from treeswap.errors import NotASite, UsageError

from . import example
from .example import Place

_OTHER_FILESYSTEM = Path("/dev/shm")
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_PLACE = re.compile(r"[A-Za-z0-9/._@+,=~-]{1,45}")
"""A directory in which the path of a socket does not become too long, and that may stand in nginx's configuration."""
_NEEDED = {"django": "Django", "gunicorn": "gunicorn", "supervisor": "supervisor"}


@dataclass(frozen=True, slots=True)
class Grounds:
    """`work` has the sources, treeswap.toml and SITE; each of `places` is a tree."""

    work: Path
    places: tuple[Place, ...]

    @property
    def site(self) -> Path:
        return self.work / "site"

    @property
    def socket(self) -> Path:
        """Where the site's process is found by a web server."""
        return self.site / "current/run/web.sock"

    def make(self, version: str) -> None:
        """The sources, and the live site as it was before treeswap: a plain directory for each tree."""
        example.make(self.work / "new")
        example.stamp(self.work / "new", version)
        for place in self.places:
            shutil.copytree(place.source, place.live)
        self.configure()

    def configure(self, confirm_url: str | None = None) -> None:
        (self.work / "treeswap.toml").write_text(example.configuration(self.site, self.places, confirm_url))


@contextmanager
def grounds() -> Iterator[Grounds]:
    """One tree is on another filesystem, where there is one at hand. Afterwards all is gone, and no signal stops that.
    `UsageError` where something is missing."""
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"not installed: {', '.join(missing)}", hint="pip install 'treeswap[demo]'")
    temporary = Path(tempfile.gettempdir()).resolve()
    if not _PLACE.fullmatch(str(temporary)):
        raise UsageError(
            f"{temporary} is no place for a site with sockets and a web server",
            hint="name a directory with a short and plain path: TMPDIR=/tmp treeswap demo",
        )
    made: list[Path] = []
    try:
        made.append(Path(tempfile.mkdtemp(prefix="treeswap-demo-", dir=temporary)))
        work = made[0]
        if _is_another_filesystem(_OTHER_FILESYSTEM, work):
            made.append(Path(tempfile.mkdtemp(prefix="treeswap-demo-", dir=_OTHER_FILESYSTEM)))
        yield Grounds(
            work,
            (
                Place("apps", work / "new/apps", work / "home/anna/apps"),
                Place("conf", work / "new/conf", work / "etc/conf"),
                Place("static", work / "new/static", made[-1] / "srv/static"),
            ),
        )
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if made:
                _end_processes(made[0] / "site")
            for directory in made:
                shutil.rmtree(directory)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_processes(root: Path) -> None:
    """Nobody asks them any more, so that nobody is waited for."""
    try:
        site = Site.at(root)
    except NotASite:
        return
    manager = site.manager("supervisor")
    for unit in manager.running():
        manager.stop(unit, 0)
    manager.remove()


def _is_another_filesystem(directory: Path, than: Path) -> bool:
    return (
        directory.is_dir() and os.access(directory, os.W_OK | os.X_OK) and directory.stat().st_dev != than.stat().st_dev
    )
