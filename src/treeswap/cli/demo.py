"""treeswap demo: a site deployed and rolled back under load, and a picture of what was seen. Not in the help."""

from __future__ import annotations

import os
from pathlib import Path

import click

from treeswap.errors import UsageError, VerificationFailed, listed

from .command import seconds, verb
from .report import Answer
from .session import Session


@verb("demo", example="treeswap demo --svg demo.svg", exits=(0, 2, 12, 16))
@click.option("--svg", metavar="FILE", default="demo.svg", show_default=True, help="Where the picture is written.")
@click.option("--visitors", type=click.IntRange(1, 64), metavar="N", default=4, help="How many ask at once; default 4.")
@click.option("--readers", type=click.IntRange(1, 64), metavar="N", default=1, help="How many read files; default 1.")
@click.option("--pause", type=seconds, metavar="SECONDS", default="0.3", help="Between the commands; default 0.3.")
@click.pass_obj
def command(session: Session, /, svg: str, visitors: int, readers: int, pause: float) -> Answer:
    """Deploy a small Django site and roll it back, several times, while visitors ask for it without a pause.

    gunicorn runs it, and nginx stands in front where it is installed. Other processes read all its files meanwhile.
    Works in a temporary directory, and leaves nothing but the picture. Fails if a single request or lookup failed.
    """
    from rich.console import Console

    from treeswap.demo import story, terminal
    from treeswap.demo.svg import draw

    file = Path(svg).absolute()
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"cannot write {svg}", hint="choose another file: --svg FILE")
    console = Console(highlight=False, stderr=session.flags.json, quiet=session.flags.quiet)
    picture = story.play(console, readers=readers, visitors=visitors, pause=pause)
    terminal.show(picture, console)
    file.write_text(draw(picture), encoding="utf-8")
    console.print(f"The picture: {file}", soft_wrap=True)

    verdict = picture.verdict
    counts = {figure.name: figure.count for tile in picture.figures for figure in tile}
    error = (
        None
        if verdict.kept_the_promise
        else VerificationFailed("the promise was broken:\n" + listed([*verdict.complaints]))
    )
    return Answer({"svg": file, "switches": len(verdict.switches), **counts}, error=error)
