"""Processes under a supervisord of the site's own, for hosts without systemd.

The daemon starts when it is first needed. After a boot it has to be started by whatever starts things there, cron's
@reboot for one: `treeswap recover --site SITE` does.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

from treeswap.errors import Failed
from treeswap.process import Process
from treeswap.release import ReleaseId

from . import family
from .seam import PROGRAM, Unit
from .supervisord import Fault, Program, Supervisord, log_of, mark_of, name_of

_BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING, _ALREADY_ADDED = 10, 60, 70, 90
"""Numbers of supervisor.xmlrpc.Faults."""
_AT_REST = ("STOPPED", "FATAL", "UNKNOWN")
_PATIENCE = 30.0
_KILLED = 10.0
"""Seconds for which a killed unit may take to be gone."""
_POLL = 0.05


class Supervisor:
    name = "supervisor"

    def __init__(self, site_name: str, site: Path, program: Sequence[str] = PROGRAM) -> None:
        self._site_name, self._site = site_name, site
        self._daemon = Supervisord(site, program)
        self._patience: dict[str, float] = {}

    def install(self, processes: Collection[Process]) -> None:
        self._patience |= {process.name: process.drain_timeout for process in processes}
        self._daemon.refuse()
        with self._daemon.locked():
            if self._daemon.is_up():
                return
            # What a daemon that was killed has left runs on, watched by nobody, on the sockets of what is to start.
            programs = self._programs()
            family.kill(frozenset(), [mark_of(program.unit) for program in programs.values()], _KILLED)
            self._daemon.write({name: program for name, program in programs.items() if program.starts})
            self._daemon.start()

    def start(self, unit: Unit) -> None:
        name = name_of(unit)
        with self._daemon.locked():
            programs = self._programs()
            if name not in programs:
                patience = self._patience.get(unit.process, _PATIENCE)
                programs[name] = Program(unit, starts=False, patience=patience)
                self._daemon.write(programs)
            if name not in self._states():
                self._daemon.call("reloadConfig")
                self._unless(_ALREADY_ADDED, "addProcessGroup", name)
            patience = programs[name].patience
        self._wait_while_stopping(name, _KILLED + patience)
        self._unless(_ALREADY_STARTED, "startProcess", name, False)

    def stop(self, unit: Unit, timeout: float) -> None:
        if not self._daemon.is_up():
            family.kill(frozenset(), [mark_of(unit)], _KILLED)
            return
        name = name_of(unit)
        deadline = time.monotonic() + timeout
        members = self._members(unit)
        while (state := self._states().get(name, "STOPPED")) not in _AT_REST:
            if state != "STOPPING":  # or again: it was just being restarted when it was told
                self._unless(_NOT_RUNNING, "stopProcess", name, False)
            elif time.monotonic() >= deadline + _KILLED:
                break
            elif time.monotonic() >= deadline:
                family.kill(members, [mark_of(unit)], _KILLED)
            time.sleep(_POLL)
            members |= self._members(unit)
        if state == "STOPPING" or family.kill(members, [mark_of(unit)], _KILLED):
            raise Failed(f"{unit} is killed, and not gone after {_KILLED:.0f} seconds", hint="treeswap status")
        self._forget(name)

    def running(self) -> frozenset[Unit]:
        if not self._daemon.is_up():
            return frozenset()
        units = (self._unit(name) for name, state in self._states().items() if state != "STOPPED")
        return frozenset(unit for unit in units if unit is not None)

    def pids(self, unit: Unit) -> frozenset[int]:
        return frozenset(member.pid for member in self._members(unit))

    def at_boot(self, units: Collection[Unit]) -> None:
        if not units and not self._daemon.configuration.exists():
            return
        with self._daemon.locked():
            there = self._programs()
            states = self._states() if self._daemon.is_up() else {}
            programs = {
                name: Program(program.unit, starts=False, patience=program.patience)
                for name, program in there.items()
                if states.get(name, "STOPPED") != "STOPPED"
            }
            for unit in units:
                known = there.get(name_of(unit))
                patience = known.patience if known else self._patience.get(unit.process, _PATIENCE)
                programs[name_of(unit)] = Program(unit, starts=True, patience=patience)
            self._daemon.write(programs)

    def remove(self) -> None:
        if not self._daemon.is_up():
            return
        self._daemon.call("shutdown")
        deadline = time.monotonic() + _KILLED
        while self._daemon.is_up():
            if time.monotonic() > deadline:
                raise Failed(f"the site's supervisord has not ended after {_KILLED:.0f} seconds")
            time.sleep(_POLL)

    def log(self, unit: Unit, lines: int = 20) -> list[str]:
        try:
            with log_of(unit).open(errors="replace") as file:
                return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
        except FileNotFoundError:
            return []

    # ------------------------------------------------------------ parts

    def _programs(self) -> dict[str, Program]:
        found = {}
        for name, starts, patience in self._daemon.programs():
            if (unit := self._unit(name)) is not None:
                found[name] = Program(unit, starts, patience)
        return found

    def _unit(self, name: str) -> Unit | None:
        process, _, rest = name.rpartition("-")
        instance, _, release = rest.partition("@")
        if not process or not instance.isdecimal() or not ReleaseId.valid(release):
            return None
        return Unit(self._site_name, self._site, ReleaseId(release), process, int(instance))

    def _states(self) -> dict[str, str]:
        return {info["name"]: info["statename"] for info in self._daemon.call("getAllProcessInfo")}

    def _wait_while_stopping(self, name: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._states().get(name) == "STOPPING":
            if time.monotonic() > deadline:
                raise Failed(f"supervisord has not stopped {name} after {math.ceil(timeout)} seconds")
            time.sleep(_POLL)

    def _members(self, unit: Unit) -> frozenset[family.Member]:
        infos = self._daemon.call("getAllProcessInfo") if self._daemon.is_up() else []
        roots = {info["pid"] for info in infos if info["name"] == name_of(unit) and info["pid"]}
        return family.find(roots, [mark_of(unit)])

    def _forget(self, name: str) -> None:
        """The daemon knows it no more; its configuration does, if it starts with the daemon."""
        with self._daemon.locked():
            if self._states().get(name) not in _AT_REST:
                return  # it was not there, or somebody has started it again
            self._unless(_BAD_NAME, "removeProcessGroup", name)
            programs = self._programs()
            if name in programs and not programs[name].starts:
                del programs[name]
                self._daemon.write(programs)

    def _unless(self, expected: int, method: str, *arguments: object) -> None:
        """Asks the daemon, where one refusal only says that it is so already."""
        try:
            self._daemon.call(method, *arguments)
        except Fault as fault:
            if fault.number != expected:
                raise
