"""The maintenance page of a site: put up and taken down under `switch.lock`, and journalled."""

from __future__ import annotations

from treeswap import maintenance
from treeswap.outcomes import MaintenanceMark

from .core import Core


def now(core: Core) -> MaintenanceMark | None:
    """Who has put the page up, and why; None where the site is not in maintenance."""
    return maintenance.read(core.layout, core.ground.current())


def put_up(core: Core, mark: MaintenanceMark) -> None:
    """Puts the page up, or another one in its place. Durable."""
    is_new = not core.layout.maintenance.is_dir()
    maintenance.put_up(core.layout, mark)
    if is_new and core.layout.maintenance.is_dir():
        core.share(core.layout.maintenance, 0o755, core.settings)
    core.ground.journal.append("maintenance", on=True, why=mark.why)


def take_down(core: Core, why: str) -> None:
    """Takes it down, whoever has put it up. Durable."""
    maintenance.take_down(core.layout)
    core.ground.journal.append("maintenance", on=False, why=why)
