"""The program, run many thousand times: a process that has it imported forks, and the child runs one command line.

This is the sweeps' own process, without threads. A child may be under strace, or meet a `Trap`, from its first
instruction of the program on, or have some of its functions replaced.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import pwd
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import treeswap
from treeswap.cli.program import run as run_program

from .oracle import Answer
from .trap import Trap

KILLED = -9
_LATER = ("configparser", "html", "http.client", "subprocess", "xmlrpc.client")
"""What only a site with processes, commands or a maintenance page needs."""
_LONGEST = 300
"""Seconds after which a command that hangs is ended, by a signal that shows in its exit code."""


def import_everything() -> None:
    """What a command imports while it runs is imported before, once."""
    for module in pkgutil.walk_packages(treeswap.__path__, "treeswap."):
        if not module.name.startswith(("treeswap.demo", "treeswap.__main__")):
            import_module(module.name)
    for name in ("traceback", "difflib", "grp", "pathspec", "click.shell_completion", *_LATER):
        import_module(name)
    # Or every child would begin by copying all that was imported, page by page.
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Program:
    """Runs command lines in the directory `cwd`; `scratch` is for files of the tracer."""

    cwd: Path
    scratch: Path

    def run(
        self,
        *words: str,
        user: str | None = None,
        patch: Callable[[], None] | None = None,
        trap: Trap | None = None,
        traced: bool = False,
    ) -> Answer:
        """Runs one command line. Where it is `traced`, its calls are in the file `trace` afterwards."""
        null, out, err = os.open(os.devnull, os.O_RDONLY), os.memfd_create("out"), os.memfd_create("err")
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._child(words, user, patch, trap, (null, out, err), theirs)
        theirs.close()
        os.close(null)
        with ours:
            tracer = self._attach(pid) if traced else None
            ours.send(b".")
            if trap is not None:
                trap.answer(ours, pid)
        status = os.waitpid(pid, 0)[1]
        if tracer is not None:
            told = tracer.communicate(timeout=60)[1]
            assert tracer.returncode == 0, told
        texts = [_read(fd) for fd in (out, err)]
        return Answer(("treeswap", *words), os.waitstatus_to_exitcode(status), *texts)

    @property
    def trace(self) -> Path:
        return self.scratch / "trace"

    def _attach(self, pid: int) -> subprocess.Popen[str]:
        command = ["strace", "-y", "-n", "-s", "80", "-o", str(self.trace), "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(pid, 9)
            raise RuntimeError(f"strace could not attach: {said}{tracer.communicate()[1]}")
        return tracer

    def _child(
        self,
        words: Sequence[str],
        user: str | None,
        patch: Callable[[], None] | None,
        trap: Trap | None,
        streams: tuple[int, int, int],
        parent: socket.socket,
    ) -> None:
        code = 99
        try:
            for number, fd in enumerate(streams):
                os.dup2(fd, number)
            os.chdir(self.cwd)
            os.umask(0o022)
            if user is not None:
                entry = pwd.getpwnam(user)
                os.setgroups([])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            parent.recv(1)
            signal.alarm(_LONGEST)
            if patch is not None:
                patch()
            if trap is not None:
                trap.install(parent)
            os.sched_yield()  # strace.BEGINS
            code = run_program(words)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _read(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return os.fsdecode(file.read())
