"""treeswap config: the configuration that is in effect."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from .command import LOOKS, verb
from .report import Answer
from .session import Session


@verb("config", example="treeswap config --env production", exits=LOOKS)
@click.pass_obj
def command(session: Session) -> Answer:
    """Show the configuration that is in effect.

    That of treeswap.toml, with its environment and variables put in and every default written out; without one, what
    the site remembers.
    """
    from treeswap.config import toml

    config = session.reached_config()
    if config is not None:
        file, env = config.file, config.env
        table = toml.as_table(config.name, config.deploy_to, config.settings, config.trees, config.sources)
        if config.notify:
            table = {"notify": [f"https://{urlsplit(address).hostname}/***" for address in config.notify], **table}
    else:
        site = session.site()
        file, env = None, None
        table = toml.as_table(site.name, site.root, site.settings, site.trees, {})
    return Answer({"file": file, "env": env, "config": table}, text=toml.dumps(table))
