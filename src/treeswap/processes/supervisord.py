"""A site's own supervisord: its configuration, its daemon, and the line to it. It runs as the owner of SITE, whoever
starts it, and so do its programs.

SITE/.treeswap/supervisor/
    supervisord.conf     a program for each unit that runs or starts with the daemon; written anew at each change
    sock                 XML-RPC, for the owner of SITE
    lock                 a flock target: the configuration is read and written by one at a time
    supervisord.log      what the daemon says; the units' own output is in SITE/.treeswap/logs/ID/
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from treeswap import durable
from treeswap.errors import Failed
from treeswap.layout import Layout
from treeswap.process import LONGEST_SOCKET

from .family import MARK
from .owner import owner_of, require_owner
from .seam import Unit

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PID_SUFFIX = 8
"""Bytes: supervisord binds its socket under a name with its pid first."""
_CALL = 30.0
"""Seconds after which the daemon is taken not to answer."""


@dataclass(frozen=True, slots=True)
class Program:
    """One unit in the configuration. `starts` is whether it starts with the daemon, `patience` the seconds after which
    the daemon kills it when it was told to stop."""

    unit: Unit
    starts: bool
    patience: float


def name_of(unit: Unit) -> str:
    return f"{unit.process}-{unit.instance}@{unit.release}"


def mark_of(unit: Unit) -> str:
    return f"{unit.site}:{name_of(unit)}"


def log_of(unit: Unit) -> Path:
    return Layout(unit.site).log(unit.release) / f"{unit.process}-{unit.instance}.log"


class Supervisord:
    """`program` is how treeswap is called."""

    def __init__(self, site: Path, program: Sequence[str]) -> None:
        self.directory = Layout(site).supervisor
        self.socket = self.directory / "sock"
        self.configuration = self.directory / "supervisord.conf"
        self._site, self._program = site, program

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the configuration."""
        durable.make_directory(self.directory, 0o711)
        self._give(self.directory)
        fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._give(fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    # ------------------------------------------------------------ configuration

    def programs(self) -> list[tuple[str, bool, float]]:
        """Name, whether it starts with the daemon, and patience, of each program in the configuration."""
        import configparser

        parser = configparser.RawConfigParser(inline_comment_prefixes=None)
        try:
            parser.read_string(self.configuration.read_text())
            sections = [parser[name] for name in parser.sections() if name.startswith("program:")]
            return [(s.name[8:], s["autostart"] == "true", float(s["stopwaitsecs"])) for s in sections]
        except FileNotFoundError:
            return []
        except (configparser.Error, KeyError, ValueError) as error:
            raise Failed(f"{self.configuration} cannot be understood", hint="remove it", cause=error)

    def write(self, programs: Mapping[str, Program]) -> None:
        """Durable. The directories of the logs are made: without one, the daemon would refuse all of it."""
        for program in programs.values():
            for made in durable.make_directories(log_of(program.unit).parent, 0o700):
                self._give(made)
        text = self._head() + "".join(self._section(name, programs[name]) for name in sorted(programs))
        durable.replace_file(self.configuration, text.encode(), 0o644)

    def _head(self) -> str:
        root = "user=root\n" if self._site.stat().st_uid == 0 else ""
        return f"""\
; Written by treeswap, and written again at each change.
[supervisord]
{root}logfile={self.directory / "supervisord.log"}
logfile_maxbytes=1MB
logfile_backups=1
pidfile={self.directory / "supervisord.pid"}
childlogdir={self.directory}
directory=/
umask=022
minfds=64
minprocs=10
nocleanup=true

[unix_http_server]
file={self.socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

    def _section(self, name: str, program: Program) -> str:
        unit = program.unit
        words = ["/usr/bin/env", f"{MARK}={mark_of(unit)}", *self._program, *unit.exec_arguments]
        return f"""
[program:{name}]
command={shlex.join(words)}
directory=/
autostart={"true" if program.starts else "false"}
autorestart=true
startsecs=1
startretries=1000000
stopwaitsecs={program.patience:.0f}
stdout_logfile={log_of(unit)}
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=1
redirect_stderr=true
"""

    def _give(self, file: Path | int) -> None:
        """What root makes belongs to the owner of SITE too."""
        if os.geteuid() == 0:
            site = self._site.stat()
            os.chown(file, site.st_uid, site.st_gid)

    # ------------------------------------------------------------ the daemon

    def refuse(self) -> None:
        """Where a daemon could not be made."""
        require_owner(self._site, or_root=True)
        for text in (str(self._site), *self._program):
            # It fills in what follows a percent sign, in some values twice.
            if not text.isprintable() or any(part in text for part in ("%", " ;", " #")):
                raise Failed(f"{text!r} cannot stand in supervisor's configuration", hint="choose another deploy_to")
        length = len(os.fsencode(self.socket)) + _PID_SUFFIX
        if length > LONGEST_SOCKET:
            raise Failed(
                f"{self.socket} is too long for a socket: with its suffix {length} bytes, of {LONGEST_SOCKET} allowed",
                hint=f"a deploy_to that is {length - LONGEST_SOCKET} bytes shorter",
            )

    def is_up(self) -> bool:
        import socket

        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(os.fsencode(self.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError as error:
                raise Failed(
                    f"{self.socket} cannot be reached",
                    hint="run this as the owner of the site, or as root",
                    cause=error,
                )
        return True

    def start(self) -> None:
        """Starts the daemon, in an environment that does not depend on who starts it; its socket is there on return."""
        import subprocess

        about = owner_of(self._site)
        becomes = os.geteuid() == 0
        clean = [f"PATH={_PATH}", f"HOME={about.pw_dir}", f"USER={about.pw_name}", f"LOGNAME={about.pw_name}"]
        done = subprocess.run(
            ["/usr/bin/env", "-i", *clean, "LANG=C.UTF-8", *_daemon(), "-c", str(self.configuration)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            user=about.pw_uid if becomes else None,
            group=about.pw_gid if becomes else None,
            extra_groups=os.getgrouplist(about.pw_name, about.pw_gid) if becomes else None,
        )
        if done.returncode != 0:
            raise Failed("supervisord did not start", cause=(done.stderr or done.stdout).strip())

    def call(self, method: str, *arguments: object) -> Any:
        """Asks the daemon. `Fault` with its number where it refuses."""
        import http.client
        import xmlrpc.client

        from .unixrpc import proxy

        try:
            with proxy(self.socket, _CALL) as server:
                return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise Fault(fault.faultCode, f"supervisord refused {method}: {fault.faultString}")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise Failed(
                f"the site's supervisord does not answer at {self.socket}",
                hint="`treeswap recover` starts it again where it has ended",
                cause=error,
            )


class Fault(Failed):
    """The daemon's refusal, with its number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def _daemon() -> list[str]:
    """How to call supervisord: this Python's, else the system's."""
    if importlib.util.find_spec("supervisor") is not None:
        return [sys.executable, "-P", "-m", "supervisor.supervisord"]
    for path in ("/usr/bin/supervisord", "/usr/local/bin/supervisord"):
        if os.access(path, os.X_OK):
            return [path]
    raise Failed("there is no supervisord here", hint="pip install 'treeswap[supervisor]'")
