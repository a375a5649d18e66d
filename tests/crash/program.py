"""The program, run many thousand times: a process that has it imported forks, and the child runs one command line.

This is the sweeps' own process, without threads. A child may be under strace from its first instruction of the program
on, or have some of its functions replaced.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import pwd
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

KILLED = -9


def import_everything() -> None:
    """What a command imports while it runs is imported before, once."""
    for module in pkgutil.walk_packages(treeswap.__path__, "treeswap."):
        if not module.name.startswith(("treeswap.demo", "treeswap.__main__")):
            import_module(module.name)
    for name in ("traceback", "difflib", "grp", "pathspec", "click.shell_completion"):
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
        strace: Sequence[str] | None = None,
    ) -> Answer:
        """Runs one command line. `strace` are options under which it is traced, to the file `trace`."""
        null, out, err = os.open(os.devnull, os.O_RDONLY), os.memfd_create("out"), os.memfd_create("err")
        gate, opener = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            self._child(words, user, patch, (null, out, err), gate)
        os.close(gate)
        os.close(null)
        tracer = self._attach(pid, strace) if strace is not None else None
        os.close(opener)
        status = os.waitpid(pid, 0)[1]
        if tracer is not None:
            told = tracer.communicate(timeout=60)[1]
            assert tracer.returncode in (0, KILLED), told
        texts = [_read(fd) for fd in (out, err)]
        return Answer(("treeswap", *words), os.waitstatus_to_exitcode(status), *texts)

    @property
    def trace(self) -> Path:
        return self.scratch / "trace"

    def _attach(self, pid: int, options: Sequence[str]) -> subprocess.Popen[str]:
        command = ["strace", "-y", "-s", "80", "-o", str(self.trace), *options, "-p", str(pid)]
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
        streams: tuple[int, int, int],
        gate: int,
    ) -> None:
        code = 99
        try:
            # Nothing is opened here: the tracer may be there already, and counts.
            for number, fd in enumerate(streams):
                os.dup2(fd, number)
            os.chdir(self.cwd)
            os.umask(0o022)
            if user is not None:
                entry = pwd.getpwnam(user)
                os.setgroups([])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            os.read(gate, 1)
            if patch is not None:
                patch()
            code = run_program(words)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _read(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return os.fsdecode(file.read())
