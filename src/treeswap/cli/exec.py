"""treeswap exec -- COMMAND: run a program that keeps its release."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import click

from treeswap.errors import TreeswapError, UsageError
from treeswap.lease import Lease

from . import completing
from .command import verb
from .report import Answer
from .session import Session

if TYPE_CHECKING:
    from treeswap.site import Site

HIGH = 100
"""Scripts take the descriptors from 3 on for themselves (`exec 3>log`), which would let the lease go."""
NOT_HERE = ("PWD", "OLDPWD")
"""Programs believe these before they ask the system where they are."""
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class CannotExecute(TreeswapError):
    exit_code = 126


class CommandNotFound(TreeswapError):
    exit_code = 127


@verb(
    "exec",
    example="treeswap exec -- python manage.py runworker\ntreeswap exec --process web",
    exits=(125, 126, 127),
    own_failures=125,
    context_settings={"allow_interspersed_args": False},
    epilog="Otherwise the exit code is COMMAND's own.",
)
@click.option("--release", metavar="ID", shell_complete=completing.releases, help="This release instead of current.")
@click.option("--process", metavar="NAME", help="The release's own process of this name, instead of COMMAND.")
@click.option("--instance", type=click.IntRange(min=1), metavar="N", help="Which instance of the process; default 1.")
@click.argument("command_line", metavar="[-- COMMAND [ARG]...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(
    session: Session, /, release: str | None, process: str | None, instance: int | None, command_line: tuple[str, ...]
) -> Answer:
    """Run a program that keeps its release.

    The release, current unless --release says otherwise, stays on disk until the program and everything it starts have
    ended, however many deploys follow. $TREESWAP_RELEASE is its directory, $TREESWAP_RELEASE_ID its id, $TREESWAP_SITE
    the site.

    With --process it becomes one of the processes that the release was deployed with, as process managers start them:
    in its tree, with its environment, and with no older program's socket in its way.
    """
    if (process is None) == (not command_line) or (instance is not None and process is None):
        raise UsageError("what to run is either -- COMMAND or --process NAME", hint="treeswap exec -- COMMAND")
    site = session.site()
    session.teller.stop()
    if process is None:
        _run(site, release, command_line)
    launch = site.launch(process, release=release, instance=instance or 1)
    os.chdir(launch.directory)
    kept = {name: text for name, text in os.environ.items() if name not in NOT_HERE}
    _become(launch.lease, tuple(launch.words), {**kept, **launch.environment})


def _run(site: Site, release: str | None, command_line: tuple[str, ...]) -> NoReturn:
    lease = site.lease(release)
    told = {
        "TREESWAP_SITE": str(site.root),
        "TREESWAP_RELEASE": str(lease.release.root),
        "TREESWAP_RELEASE_ID": lease.release.id,
    }
    _become(lease, command_line, {**os.environ, **told})


def _become(lease: Lease, words: tuple[str, ...], environment: Mapping[str, str]) -> NoReturn:
    """Puts the program in this one's place."""
    _hand_down(lease)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number in IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(words[0], words, environment)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CommandNotFound(f"{words[0]!r} was not found", cause=error)
    except OSError as error:
        raise CannotExecute(f"{words[0]!r} cannot be executed", cause=error)


def _hand_down(lease: Lease) -> None:
    """Lets the program and its children inherit the lease, under a number that is in nobody's way."""
    try:
        fcntl.fcntl(lease.fd, fcntl.F_DUPFD, HIGH)
    except OSError:  # so many files may not be open here
        lease.inherit()
