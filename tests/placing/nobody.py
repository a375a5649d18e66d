"""Running a part of a test as an ordinary user."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534


def as_nobody(run: Callable[[], None], room: Path, *, descriptors: int | None = None) -> None:
    """Calls `run` in a child process of a user without rights, to whom all in `room` is given first.

    Where the tests are not run by root, the child's user is theirs. What the child raises fails the test.
    """
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "--no-dereference", f"{NOBODY}:{NOBODY}", str(room)], check=True)
    sys.stdout.flush()
    sys.stderr.flush()
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read_fd)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            run()
            code = 0
        except BaseException:
            os.write(write_fd, traceback.format_exc()[-60_000:].encode(errors="replace"))
        finally:
            os._exit(code)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, told
