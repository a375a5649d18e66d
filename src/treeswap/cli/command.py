"""What all commands have in common: the flags, and how help is laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

EXIT_CODES = {
    0: "done, or nothing to do",
    1: "a bug in treeswap",
    2: "usage, configuration, or consent missing",
    10: "not a site",
    11: "locked or held",
    12: "failed, nothing switched",
    13: "switched back",
    15: "nothing to roll back to",
    16: "verification failed",
    17: "the new release is current, a later step failed",
    125: "treeswap itself failed",
    126: "the command cannot be executed",
    127: "the command was not found",
}
LOOKS = (0, 2, 10)
CHANGES = (0, 2, 10, 11, 12)
SWITCHES = (0, 2, 10, 11, 12, 13, 17)
GOES_ON = (0, 2, 10, 11, 12, 17)

_F = TypeVar("_F", bound=Callable[..., Any])


def seconds(text: str) -> float:
    """A duration as an option: seconds, or with a unit."""
    from treeswap.config.values import duration

    try:
        return duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error))


class Lines(click.types.StringParamType):
    """Words that may have spaces in them: an environment variable holds one a line."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line for line in rv.splitlines() if line]


LINES = Lines()


class Command(click.Command):
    """A command of treeswap: an example and its exit codes are part of it, and so are the flags that all have."""

    def __init__(self, *args: Any, example: str, exits: tuple[int, ...], own_failures: int | None = None, **kw: Any):
        super().__init__(*args, **kw)
        self.example = example
        self.exits = exits
        self.own_failures = own_failures
        """The exit code of every failure of treeswap's own, where the command gives another program's."""
        self.common = common_flags()
        self.params.extend(self.common)

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj.parsed()
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        write_options(ctx, formatter, "Options", [p for p in self.get_params(ctx) if p not in self.common])
        write_options(ctx, formatter, "Common options", self.common)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), EXIT_CODES[code]) for code in self.exits])


def verb(name: str, *, example: str, exits: tuple[int, ...], **kw: Any) -> Callable[[Callable[..., Any]], Command]:
    """Makes a function a command; its docstring is the help."""
    return click.command(name, cls=Command, example=example, exits=exits, **kw)


def dry_run(function: _F) -> _F:
    """-n: what every command that changes something has."""
    return click.option("-n", "--dry-run", is_flag=True, help="Print the plan and touch nothing.")(function)


def consents(function: _F) -> _F:
    """What a person may have to agree to before a deploy."""
    for option in (
        click.option("--adopt", is_flag=True, help="Agree to turn live directories into public paths."),
        click.option("--add", is_flag=True, help="Agree to let new trees join the site."),
        click.option("--force", is_flag=True, help="Make a release even if nothing changed, and despite warnings."),
        click.option("--leave-strays", is_flag=True, help="Go on although files would be taken out of view."),
        click.option("--allow-gap", is_flag=True, help="Adopt by two renames where the filesystem cannot exchange."),
        click.option("--rehash", is_flag=True, help="Read every source file, whatever the cache says."),
    )[::-1]:
        function = option(function)
    return function


def names(function: _F) -> _F:
    """What a release is called besides its id."""
    for option in (
        click.option("--label", metavar="TEXT", help="A name for the release, to find it by."),
        click.option("--revision", metavar="TEXT", help="The source's revision, to find the release by."),
    )[::-1]:
        function = option(function)
    return function


def common_flags() -> list[click.Parameter]:
    """The flags that may stand before the command or after it."""

    def flag(*declarations: str, **kw: Any) -> click.Option:
        return click.Option(list(declarations), expose_value=False, callback=_keep, **kw)

    return [
        flag("--site", type=click.Path(), metavar="PATH", help="A SITE, a public path, or a treeswap.toml."),
        flag("--env", metavar="NAME", help="The environment of treeswap.toml to use."),
        flag("--lock-wait", type=seconds, metavar="SECONDS", help="How long to wait for another's lock."),
        flag("--json", is_flag=True, help="Print one JSON object."),
        flag("-q", "--quiet", is_flag=True, help="Tell nothing but warnings and errors."),
        flag("-v", "--verbose", is_flag=True, help="Tell each step."),
    ]


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, title: str, params: list[click.Parameter]
) -> None:
    """A section of the help for these options, if there are any."""
    options = [p for p in params if isinstance(p, click.Option)]
    records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Hands a common flag to the session; one on the command line comes before one in the environment."""
    assert param.name is not None
    source = ctx.get_parameter_source(param.name)
    if source is click.core.ParameterSource.COMMANDLINE:
        ctx.obj.flags.give(param.name, value)
    elif source is click.core.ParameterSource.ENVIRONMENT:
        ctx.obj.flags.suggest(param.name, value)
    return value
