"""Whether a process is well: it answers over its socket, or a command that knows says so."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import asking
from .asking import NoAnswer
from .running import Running


def problem(running: Running, host: str, timeout: float) -> str | None:
    """What is wrong with it, in a few words; None where it is well, or nothing is said of how to see it. Waits for
    `timeout` seconds at most. `host` is whom the request is for, as its Host header tells."""
    path = running.process.health_path
    if path is not None:
        return _over_socket(running, path, host, timeout)
    words = running.health_words()
    return None if words is None else run(words, running.directory, running.environment(), timeout)


def _over_socket(running: Running, path: str, host: str, timeout: float) -> str | None:
    try:
        answer = asking.over_socket(running.socket, path, host, timeout)
    except NoAnswer as error:
        return f"{path} is not answered: {error}"
    if answer.well:
        return None
    asked = f", asked with the Host {host}" if answer.status == 400 else ""
    return f"{path} is answered with {answer.status}{asked}"


def run(words: Sequence[str], directory: Path, environment: Mapping[str, str], timeout: float) -> str | None:
    """What is wrong, as a command tells by its exit code and the last line of its output. It is killed, with all that
    it started, after `timeout` seconds.

    The additions to the environment come to it through a file that has no name: everybody may read arguments.
    """
    import subprocess  # not at the top: most commands run none, and it is slow to import

    additions, output = os.memfd_create("environment"), os.memfd_create("output")
    try:
        exports = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in environment.items())
        os.write(additions, f"unset PWD OLDPWD\n{exports}".encode(errors="surrogateescape"))
        started = subprocess.Popen(
            ["/bin/sh", "-c", '. "$0"; exec "$@"', f"/proc/self/fd/{additions}", *words],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[additions],
            start_new_session=True,
        )
        try:
            code = started.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"`{shlex.join(words)}` did not end"
        finally:
            _kill(started.pid)
            started.wait()
        said = os.pread(output, 1 << 16, max(os.fstat(output).st_size - (1 << 16), 0)).decode(errors="replace")
    finally:
        os.close(additions)
        os.close(output)
    last = said.strip().rpartition("\n")[2]
    return None if code == 0 else f"`{shlex.join(words)}` ended with {code}" + (f": {last}" if last else "")


def _kill(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        pass
