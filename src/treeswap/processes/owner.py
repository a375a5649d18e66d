"""Processes run as the owner of SITE, whoever deploys: what they may read and write does not change by that."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from treeswap.errors import Failed


def owner_of(site: Path) -> pwd.struct_passwd:
    """`Failed` where the owner has no name: neither manager could run anything as them."""
    uid = site.stat().st_uid
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise Failed(f"{site} belongs to the user {uid}, who has no name here", hint="chown it to one who has")


def require_owner(site: Path, *, or_root: bool) -> None:
    """`Failed` for who cannot run anything as the owner."""
    owner = owner_of(site)
    if os.geteuid() != owner.pw_uid and not (or_root and os.geteuid() == 0):
        also = ", or as root" if or_root else ""
        raise Failed(f"the processes of {site} run as its owner, {owner.pw_name}", hint=f"run this as them{also}")
