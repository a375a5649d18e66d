"""Which process manager a site gets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from treeswap.errors import ConfigError

from .seam import PROGRAM, ProcessManager

KINDS = ("systemd", "systemd-user", "supervisor")
AUTO = "auto"


def detect() -> str:
    """What `auto` means for this user on this machine: the system's systemd for root, a user's own where it stays when
    nobody is logged in, else supervisor.

    Another user gets another answer. It is to be kept with the site when its first process starts, or the processes of
    one manager would not be seen by the next."""
    from . import systemd

    if os.geteuid() == 0 and systemd.is_booted():
        return "systemd"
    if os.geteuid() != 0 and systemd.lingers():
        return "systemd-user"
    return "supervisor"


def manager(kind: str, site_name: str, site: Path, program: Sequence[str] = PROGRAM) -> ProcessManager:
    """The manager of this kind (not `auto`) for a site. `program` is how treeswap is called."""
    if kind == "supervisor":
        from .supervisor import Supervisor

        return Supervisor(site_name, site, program)
    if kind in KINDS:
        from .systemd import Systemd

        return Systemd(site_name, site, program, user=kind == "systemd-user")
    raise ConfigError(f"process_manager: there is no manager {kind!r}", hint=f"one of {AUTO}, {', '.join(KINDS)}")
