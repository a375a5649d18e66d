"""What a unit's program is started with: the words, the directory, the environment, and the hold on its release."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from treeswap.errors import Failed, UsageError
from treeswap.lease import Lease
from treeswap.processes import Running, Unit, listening

from . import pinning
from .core import Core


@dataclass(frozen=True, slots=True)
class Launch:
    """`environment` are additions; PWD and OLDPWD have to go."""

    lease: Lease
    words: list[str]
    directory: Path
    environment: Mapping[str, str]


def launch(core: Core, release: str | None, name: str, instance: int) -> Launch:
    """Takes the lease of a release, and clears the way for one of its processes."""
    lease = pinning.take(core, release)
    try:
        record = lease.release.record
        process = next((process for process in record.processes if process.name == name), None)
        if process is None:
            known = ", ".join(process.name for process in record.processes)
            raise UsageError(f"{record.id} has no process {name!r}", hint=f"it has: {known or 'none'}")
        if not 1 <= instance <= process.instances:
            raise UsageError(
                f"{name} of {record.id} has no instance {instance}", hint=f"it has 1 to {process.instances}"
            )
        running = Running(process, Unit(core.name, core.root, record.id, name, instance), lease.release.dirs)
        if process.has_socket:
            _clear_the_way(running)
        return Launch(lease, running.words(), running.directory, running.environment())
    except BaseException:
        lease.close()
        raise


def _clear_the_way(running: Running) -> None:
    """Removes the socket that a program left which was killed. Where somebody listens at it, he is not robbed of it."""
    if listening.is_listened_at(running.socket):
        raise Failed(
            f"{running.unit} runs already: somebody listens at {running.socket}",
            hint="a release has one of each; to run it by hand, stop the other first",
        )
    with suppress(FileNotFoundError):
        running.socket.unlink()
