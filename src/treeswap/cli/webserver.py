"""treeswap webserver: a ready configuration of the web server in front."""

from __future__ import annotations

import click

from treeswap.errors import UsageError

from .command import LOOKS, seconds, verb
from .report import Answer
from .session import Session

KINDS = ("nginx", "apache", "caddy")


@verb(
    "webserver",
    example="treeswap webserver nginx --host example.com --static media=/media/",
    exits=LOOKS,
)
@click.argument("server", metavar="|".join(KINDS), type=click.Choice(KINDS))
@click.option("--static", metavar="TREE=/URL/", multiple=True, help="Serve the files of this tree there.")
@click.option("--process", metavar="NAME=/URL/", multiple=True, help="Hand requests there to this process.")
@click.option("--host", metavar="NAME", help="The name that visitors ask for; default the site's.")
@click.option("--port", metavar="N", type=click.IntRange(1, 65535), default=80, help="Where it listens; default 80.")
@click.option(
    "--retry-after", metavar="SECONDS", type=seconds, default="120", help="What 503 says in maintenance; default 120."
)
@click.pass_obj
def command(
    session: Session,
    /,
    server: str,
    static: tuple[str, ...],
    process: tuple[str, ...],
    host: str | None,
    port: int,
    retry_after: float,
) -> Answer:
    """Print a ready configuration of the web server in front of the site.

    Static files, the sockets of the site's processes, the maintenance page. It need not be printed again after a
    deploy, but when processes or trees come or go. Unless --static says so, only trees that are called as what web
    servers show are served: public, static, media and the like.
    """
    text = session.site().webserver(
        server,
        static=_pairs(static, "--static TREE=/URL/"),
        processes=_pairs(process, "--process NAME=/URL/"),
        host=host,
        port=port,
        retry_after=round(retry_after),
    )
    return Answer({"server": server, "configuration": text}, text=text)


def _pairs(told: tuple[str, ...], option: str) -> dict[str, str] | None:
    """None where nothing was told."""
    for word in told:
        if "=" not in word:
            raise UsageError(f"{word!r} does not say where", hint=f"write {option}")
    return {name: url for name, _, url in (word.partition("=") for word in told)} or None
