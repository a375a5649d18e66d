"""treeswap completion SHELL: the script that completes commands, options, release ids and trees."""

from __future__ import annotations

import click

from .command import verb
from .report import Answer

SHELLS = ("bash", "zsh", "fish")


@verb("completion", example='eval "$(treeswap completion bash)"    # in ~/.bashrc', exits=(0, 2))
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Answer:
    """Print the completion script of a shell.

    For bash and zsh, eval it in ~/.bashrc or ~/.zshrc. For fish, write it to
    ~/.config/fish/completions/treeswap.fish.
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    script = complete(ctx.find_root().command, {}, "treeswap", "_TREESWAP_COMPLETE").source()
    return Answer({"shell": shell, "script": script}, text=script)
