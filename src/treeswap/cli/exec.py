"""treeswap exec -- COMMAND: run a program that keeps its release."""

from __future__ import annotations

import fcntl
import os
import signal
import sys

import click

from treeswap.errors import TreeswapError
from treeswap.lease import Lease

from . import completing
from .command import verb
from .report import Answer
from .session import Session

HIGH = 100
"""Scripts take the descriptors from 3 on for themselves (`exec 3>log`), which would let the lease go."""
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class CannotExecute(TreeswapError):
    exit_code = 126


class CommandNotFound(TreeswapError):
    exit_code = 127


@verb(
    "exec",
    example="treeswap exec -- python manage.py runworker",
    exits=(125, 126, 127),
    own_failures=125,
    context_settings={"allow_interspersed_args": False},
    epilog="Otherwise the exit code is COMMAND's own.",
)
@click.option("--release", metavar="ID", shell_complete=completing.releases, help="This release instead of current.")
@click.argument("command_line", metavar="-- COMMAND [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def command(session: Session, /, release: str | None, command_line: tuple[str, ...]) -> Answer:
    """Run a program that keeps its release.

    The release, current unless --release says otherwise, stays on disk until the program and everything it starts have
    ended, however many deploys follow. $TREESWAP_RELEASE is its directory, $TREESWAP_RELEASE_ID its id, $TREESWAP_SITE
    the site.
    """
    site = session.site()
    lease = site.lease(release)
    _hand_down(lease)
    environment = {
        **os.environ,
        "TREESWAP_SITE": str(site.root),
        "TREESWAP_RELEASE": str(lease.release.root),
        "TREESWAP_RELEASE_ID": lease.release.id,
    }
    session.teller.stop()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number in IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command_line[0], command_line, environment)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CommandNotFound(f"{command_line[0]!r} was not found", cause=error)
    except OSError as error:
        raise CannotExecute(f"{command_line[0]!r} cannot be executed", cause=error)


def _hand_down(lease: Lease) -> None:
    """Lets the program and its children inherit the lease, under a number that is in nobody's way."""
    try:
        fcntl.fcntl(lease.fd, fcntl.F_DUPFD, HIGH)
    except OSError:  # so many files may not be open here
        lease.inherit()
