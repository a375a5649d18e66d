"""The program: its commands by section, and the one place where every failure becomes text, JSON and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from signal import Signals as SignalName
from typing import Any, cast

import click

from treeswap import errors

from . import report, words
from .command import common_flags, write_options
from .report import Answer
from .session import Session

NAME = "treeswap"
SECTIONS = {
    "Deploy": ("copy", "deploy", "stage", "switch", "rollback"),
    "Look": ("status", "releases", "log", "diff", "verify", "check"),
    "Set up": ("init", "adopt", "unadopt", "config", "completion", "webserver"),
    "Rare": ("exec", "prune", "recover", "lock", "unlock", "maintenance"),
}
UNLISTED = ("demo", "restore")
COMMANDS = tuple(name for names in SECTIONS.values() for name in names)


class Program(click.Group):
    """The group of all commands. A command's module is imported when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS and cmd_name not in UNLISTED:
            return None
        return cast(click.Command, import_module(f".{cmd_name}", __package__).command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in (*COMMANDS, *UNLISTED) and not ctx.resilient_parsing:
            raise _no_such_command(args[0])
        name, command, rest = super().resolve_command(ctx, args)
        ctx.obj.command = command
        return name, command, rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in SECTIONS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(limit=90)))
            with formatter.section(section):
                formatter.write_dl(rows, col_max=12)
        write_options(ctx, formatter, "Options", self.get_params(ctx))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from treeswap._version import __version__

        report.show(f"{NAME} {__version__}")
        ctx.exit()


@click.pass_context
def _without_command(ctx: click.Context) -> Answer | None:
    """What the group itself answers, where no command follows."""
    if ctx.invoked_subcommand is not None:
        return None
    return Answer({}, told=ctx.get_help(), error=errors.UsageError("no command given"))


program = Program(
    NAME,
    callback=_without_command,
    invoke_without_command=True,
    help="Several directory trees, one atomic change.",
    epilog="Every option can be set by an environment variable: TREESWAP_SITE for --site, TREESWAP_COPY_KEEP for the "
    "--keep of copy, and so on; several values stand one a line. Each command tells more: treeswap COMMAND --help.",
    params=[
        *common_flags(),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
        ),
    ],
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "TREESWAP",
        "max_content_width": 110,
    },
)


def run(args: Sequence[str]) -> int:
    """Runs the words of a command line and returns the exit code. Prints whatever there is to print."""
    report.prepare_streams()
    session = Session(args)
    try:
        session.signals.install()
        return _run(session)
    except errors.Interrupted as interrupted:  # before anything began, or while the answer was being written
        return 128 + interrupted.signal_number
    except OSError as error:
        report.tell(f"error: the answer could not be written\ncaused by: {error}")
        return 1
    finally:
        session.signals.end()


def _run(session: Session) -> int:
    code: str | None = None
    exit_code: int | None = None
    try:
        answer = _answer(session)
        if isinstance(answer, int):
            return int(answer)
        error = answer.error
    except errors.TreeswapError as refused:
        answer, error = Answer({}), refused
    except click.ClickException as misused:
        answer, error = Answer({}), _usage(misused)
    except (click.Abort, EOFError):
        answer, error = Answer({}), errors.UsageError("not answered, so nothing was changed")
    except (errors.Interrupted, KeyboardInterrupt) as interrupted:
        number = interrupted.signal_number if isinstance(interrupted, errors.Interrupted) else 2
        answer, error = Answer({}), errors.TreeswapError(_interrupted(number, session))
        error.migrated = getattr(interrupted, "migrated", ())
        code, exit_code = "interrupted", 128 + number
    except Exception as unexpected:
        answer, error = Answer({}), _bug(unexpected, session)
        code = "bug"
    if error is not None and exit_code is None:
        exit_code = _exit_code(error, session)
    return _deliver(session, answer, error, exit_code or 0, code)


def _answer(session: Session) -> Answer | int:
    try:
        result: Any = program.main(session.args, NAME, standalone_mode=False, obj=session)
    finally:
        session.teller.stop()
    if isinstance(result, Answer | int):
        return result
    return 0


def _deliver(
    session: Session, answer: Answer, error: errors.TreeswapError | None, exit_code: int, code: str | None
) -> int:
    """Writes the answer to stdout, and what there is to tell to stderr."""
    if isinstance(error, errors.ConsentNeeded):
        error.hint = session.with_flags(error.flags)
    current = session.current() or (error.current if error else None)
    if session.json:
        failure = report.as_failure(error, code) if error else None
        report.show(report.as_json(answer, exit_code, failure, current))
    elif answer.text:
        report.show(answer.text)
    if answer.told and not session.flags.hushed:
        report.tell(words.printable(answer.told))
    if session.signals.noted is not None and exit_code in (0, 17):
        session.teller.note(f"{_signal(session.signals.noted)} came after the switch; what was begun was finished")
    if error is not None:
        report.tell(report.error_text(error, current, session.root is not None, report.has_colour(sys.stderr)))
    return exit_code


def _exit_code(error: errors.TreeswapError, session: Session) -> int:
    own: int | None = getattr(session.command, "own_failures", None)
    return error.exit_code if own is None or error.exit_code > own else own


def _usage(misused: click.ClickException) -> errors.UsageError:
    """click's refusals in the form of ours."""
    context = misused.ctx if isinstance(misused, click.UsageError) else None
    path = context.command_path if context else NAME
    return errors.UsageError(misused.format_message(), hint=f"{path} --help tells more")


def _no_such_command(name: str) -> errors.UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, [*COMMANDS, *UNLISTED], 1)
    hint = f"did you mean {NAME} {near[0]}?" if near else f"{NAME} --help lists the commands"
    return errors.UsageError(f"there is no command {name!r}", hint=hint)


def _interrupted(number: int, session: Session) -> str:
    changed = "; nothing was switched" if session.root else ""
    return f"interrupted by {_signal(number)}{changed}"


def _signal(number: int) -> str:
    return SignalName(number).name


def _bug(unexpected: Exception, session: Session) -> errors.TreeswapError:
    """An exception that nobody expected: a line, and with -v where it came from."""
    if session.flags.verbose:
        import traceback

        report.tell(words.printable("".join(traceback.format_exception(unexpected)).rstrip()))
    return errors.TreeswapError(
        f"bug in {NAME}: {type(unexpected).__name__}: {unexpected}",
        hint="please report it, with what -v prints" if not session.flags.verbose else "please report it",
    )
