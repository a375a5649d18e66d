"""Processes as units of systemd: the system's, or a user's own that lingers.

For each process and instance of it there is a template, `treeswap-SITE-NAME-N@.service`; the release is what follows
the @, so that a deploy writes no unit and reloads nothing. `treeswap-SITE.service` runs at boot: it brings the site to
rest, before a web server starts, and then starts `treeswap-SITE.target`, which wants the units that `at_boot` named.
Units of the system run as the owner of SITE.
"""

from __future__ import annotations

import os
import pwd
import string
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from treeswap import durable
from treeswap.errors import Failed
from treeswap.process import Process
from treeswap.release import ReleaseId

from . import unitfiles
from .owner import require_owner
from .seam import PROGRAM, Unit

_ALIVE = "active,activating,reloading,deactivating"
_CALL = 90.0
"""Seconds after which systemd is taken not to answer."""
_KILLED = 10.0
"""Seconds for which a killed unit may take to be gone."""


class Systemd:
    """`user`: the units of this user's own systemd, instead of the system's."""

    def __init__(self, site_name: str, site: Path, program: Sequence[str] = PROGRAM, *, user: bool = False) -> None:
        self.name = "systemd-user" if user else "systemd"
        self._site_name, self._site, self._user = site_name, site, user
        self._names = unitfiles.Names(site_name)
        self._files = unitfiles.UnitFiles(self._names, site, program, user=user)
        own = Path(pwd.getpwuid(os.geteuid()).pw_dir, ".config/systemd/user")
        self._directory = own if user else Path("/etc/systemd/system")

    def install(self, processes: Collection[Process]) -> None:
        self._refuse()
        durable.make_directories_durably(self._directory, 0o755)
        wanted = self._files.of_site()
        backs_off = self._version() >= unitfiles.BACKS_OFF
        for process in processes:
            wanted |= self._files.of_process(process, backs_off=backs_off)
        changed = [name for name, text in wanted.items() if self._written(name) != text]
        for name in changed:
            durable.replace_file(self._directory / name, wanted[name].encode(), 0o644)
        if changed:
            self._systemctl("daemon-reload")
        self._enable([self._names.boot])

    def start(self, unit: Unit) -> None:
        self._systemctl("start", self._names.unit(unit))

    def stop(self, unit: Unit, timeout: float) -> None:
        name = self._names.unit(unit)
        if self._stopped(name, timeout):
            return
        self._systemctl("kill", "--signal=KILL", name, ignoring="not loaded")
        if not self._stopped(name, _KILLED):
            raise Failed(
                f"{unit} is killed, and not gone after {_KILLED:.0f} seconds", hint=f"systemctl status {name!r}"
            )

    def running(self) -> frozenset[Unit]:
        told = self._systemctl(
            "list-units", "--plain", "--no-legend", "--full", f"--state={_ALIVE}", self._names.pattern
        )
        units = (self._unit(line.split()[0]) for line in told.splitlines() if line.strip())
        return frozenset(unit for unit in units if unit is not None)

    def pids(self, unit: Unit) -> frozenset[int]:
        group = self._systemctl("show", "--property=ControlGroup", "--value", self._names.unit(unit)).strip()
        return _members(group) if group else frozenset()

    def at_boot(self, units: Collection[Unit]) -> None:
        wanted = {self._names.unit(unit) for unit in units}
        wants = self._directory / f"{self._names.target}.wants"
        there = {path.name for path in wants.iterdir()} if wants.is_dir() else set()
        if there - wanted:
            self._systemctl("disable", *sorted(there - wanted))
        self._enable(sorted(wanted - there))

    def remove(self) -> None:
        if unitfiles.site_of(self._written(self._names.boot) or "") != str(self._site):
            return
        self.at_boot([])
        self._systemctl("disable", "--quiet", self._names.boot)
        files = [path for path in self._directory.iterdir() if self._names.is_file_of(path.name)]
        durable.remove_durably(files, self._directory)
        self._systemctl("daemon-reload")

    def log(self, unit: Unit, lines: int = 20) -> list[str]:
        which = "--user-unit" if self._user else "--unit"
        told = self._call(
            "journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}", which, self._names.unit(unit)
        )
        return told.splitlines()[-lines:]

    # ------------------------------------------------------------ parts

    def _refuse(self) -> None:
        """Where the units would not be kept running, or would belong to another site."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        if not self._user and os.geteuid() != 0:
            raise Failed(
                "only root can make units of the system",
                hint='set process_manager = "systemd-user" (or "supervisor"), or run this as root',
            )
        require_owner(self._site, or_root=not self._user)
        if self._user and not lingers():
            raise Failed(
                f"the user {user} has no systemd that stays when nobody is logged in",
                hint=f"loginctl enable-linger {user}",
            )
        owner = unitfiles.site_of(self._written(self._names.boot) or "")
        if owner is not None and owner != str(self._site):
            raise Failed(
                f"{self._directory / self._names.boot} belongs to the site at {owner}, which has the name "
                f"{self._site_name!r} too",
                hint="give this site another name in treeswap.toml; or remove that unit, if that site is no more",
            )

    def _written(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text()
        except FileNotFoundError:
            return None

    def _enable(self, names: Sequence[str]) -> None:
        """They start at boot; durable, which systemctl does not see to."""
        if not names:
            return
        self._systemctl("enable", "--quiet", *names)
        for wants in self._directory.glob("*.wants"):
            durable.fsync_directory(wants)
        durable.fsync_directory(self._directory)

    def _version(self) -> int:
        words = self._systemctl("--version").split()
        digits = "".join(c for c in words[1] if c in string.digits) if len(words) > 1 else ""
        return int(digits or 0)

    def _stopped(self, name: str, timeout: float) -> bool:
        """Whether it is gone within so many seconds of being told."""
        import subprocess

        deadline = time.monotonic() + timeout
        # It is told first, however little time there is, and then waited for.
        self._systemctl("stop", "--no-block", name, ignoring="not loaded")
        try:
            self._systemctl("stop", name, ignoring="not loaded", timeout=max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _unit(self, name: str) -> Unit | None:
        if (parts := self._names.parts(name)) is None:
            return None
        process, instance, release = parts
        return Unit(self._site_name, self._site, ReleaseId(release), process, instance)

    def _systemctl(self, *arguments: str, ignoring: str | None = None, timeout: float | None = None) -> str:
        scope = ["--user"] if self._user else []
        return self._call("systemctl", *scope, "--no-ask-password", *arguments, ignoring=ignoring, timeout=timeout)

    def _call(self, *command: str, ignoring: str | None = None, timeout: float | None = None) -> str:
        """What a command prints. `Failed` with its words, unless these are ones to ignore; `subprocess.TimeoutExpired`
        where a timeout was given."""
        import subprocess  # not at the top: it is slow to import

        where = [f"XDG_RUNTIME_DIR={_runtime()}"] if self._user else []
        try:
            done = subprocess.run(
                ["/usr/bin/env", "LC_ALL=C", *where, *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout or _CALL,
            )
        except subprocess.TimeoutExpired as error:
            if timeout is not None:
                raise
            raise Failed(f"systemd did not answer within {_CALL:.0f} seconds", hint="systemctl list-jobs", cause=error)
        if done.returncode != 0 and not (ignoring and ignoring in done.stderr):
            hint = 'set process_manager = "supervisor" where there is no systemd' if done.returncode == 127 else None
            raise Failed(f"systemd refused: {' '.join(command)}", hint=hint, cause=done.stderr.strip())
        return done.stdout


def is_booted() -> bool:
    """Whether this machine's first process is systemd; sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def lingers() -> bool:
    """Whether this user has a systemd of their own, and keeps it when nobody is logged in."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return Path("/var/lib/systemd/linger", user).exists() and Path(_runtime(), "systemd/private").exists()


def _runtime() -> str:
    return f"/run/user/{os.geteuid()}"


def _members(group: str) -> frozenset[int]:
    """The processes of a control group and of those in it, wherever the hierarchy is mounted."""
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"):
        here = Path(root + group)
        if here.is_dir():
            lists = [here / "cgroup.procs", *here.glob("**/cgroup.procs")]
            return frozenset(int(pid) for file in lists for pid in _words(file))
    return frozenset()


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # the group has just gone
        return []
