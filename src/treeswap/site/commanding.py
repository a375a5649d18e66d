"""The site's own commands, run where they belong: what they are told, where their output goes, how they fail."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from treeswap.commands import TIMED_OUT, Confinement, Task
from treeswap.errors import Failed
from treeswap.outcomes import Event
from treeswap.release import Command, Record, ReleaseId

from .core import Core

_LAST = 10
"""How many of the last lines of a command that failed are told."""
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z0-9_][A-Za-z0-9._-]*)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """The release that commands are run for. `dirs` are the real directories of its trees, the site's first one first;
    commands inherit the descriptor `lease`, if there is one, and get `more` in their environment."""

    id: ReleaseId
    root: Path
    dirs: Mapping[str, Path]
    previous: ReleaseId | None
    lease: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    def environment(self, site: Path) -> dict[str, str]:
        """What commands get besides the caller's own environment."""
        trees = {f"TREESWAP_TREE_{re.sub('[^A-Za-z0-9]', '_', name).upper()}": str(d) for name, d in self.dirs.items()}
        return {
            **trees,
            # What a command imports from a version must leave nothing there.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TREESWAP_SITE": str(site),
            "TREESWAP_RELEASE": str(self.root),
            "TREESWAP_RELEASE_ID": self.id,
            "TREESWAP_PREVIOUS": self.previous or "",
            **self.more,
        }

    def filled(self, text: str, site: Path) -> str:
        """A command with `{site}`, `{release}` and the name of each tree in braces replaced by paths, as shell words.
        All other braces stay."""
        known = {"site": site, "release": self.root, **self.dirs}
        return _PLACEHOLDER.sub(lambda found: _word(known.get(found[1]), found[0]), text)


def place_of(core: Core, record: Record, previous: ReleaseId | None, lease: int | None = None) -> Place:
    """The place of a sealed release."""
    release = core.release_of(record)
    dirs = {name: release[name] for name in core.trees if name in record.versions}
    return Place(record.id, release.root, dirs, previous, lease)


def run(
    core: Core,
    which: str,
    command: Command,
    place: Place,
    *,
    lingers: bool = False,
    confinement: Confinement | None = None,
    log: Path | None = None,
) -> None:
    """Runs one of the commands that the configuration lists under `which`. What it prints is kept with the release's
    output, unless a `log` is named. `Failed` if its exit code is not 0."""
    told = place.filled(command.run, core.root)
    core.tell(which, note=f"running: {told}")
    last: deque[str] = deque(maxlen=_LAST)

    def hear(line: str) -> None:
        last.append(line)
        core.listener(Event(which, line=line))

    task = Task(
        told,
        directory=_directory(command, place),
        environment=place.environment(core.root),
        log=log or core.layout.log(place.id) / f"{which}.log",
        hear=hear,
        inherits=() if place.lease is None else (place.lease,),
        timeout=command.timeout,
        lingers=lingers,
        confinement=confinement,
    )
    try:
        code = core.runner(task)
    except OSError as error:
        raise Failed(f"`{told}` ({which}) could not be run", cause=error)
    if code != 0:
        late = code == TIMED_OUT and command.timeout is not None
        came_to = f"took longer than {command.timeout:g} s" if late else f"failed with exit code {code}"
        # A first deploy that fails takes all of its site away again, and what was kept there.
        stays = log is None and core.exists and core.ground.current() is not None
        raise Failed(
            f"`{told}` ({which}) {came_to}",
            hint=f"its output: treeswap log {place.id}" if stays else None,
            cause="\n".join(last) or None,
        )


def _directory(command: Command, place: Place) -> Path:
    if command.local and command.directory is not None:
        return command.directory
    return place.dirs.get(command.tree or next(iter(place.dirs), ""), place.root)


def _word(path: Path | None, otherwise: str) -> str:
    return otherwise if path is None else shlex.quote(str(path))
