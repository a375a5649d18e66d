"""Which site a command is about, and which treeswap.toml.

`--site` (a SITE, a configuration file, or any public path), else `$TREESWAP_SITE`, else the site whose public path or
SITE contains the working directory, else treeswap.toml here or above. A treeswap.toml inside a release is content, and
is never used.
"""

from __future__ import annotations

from pathlib import Path

from treeswap.errors import NotASite, UsageError
from treeswap.places import site_of

CONFIG_NAME = "treeswap.toml"


def config_file(told: str | None) -> Path | None:
    """The configuration file to use: the one that --site names, else the nearest one here or above, if any."""
    if told is not None and _is_config(told):
        return Path(told).expanduser()
    here = working_directory()
    for directory in (here, *here.parents):
        candidate = directory / CONFIG_NAME
        if candidate.is_file() and not _in_a_release(directory):
            return candidate
    return None


def place(told: str | None) -> Path | None:
    """A path that leads to the site, for `Site.open`; None: only a treeswap.toml can say."""
    if told is not None:
        return None if _is_config(told) else Path(told).expanduser()
    return site_of(working_directory())


def working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the working directory does not exist any more",
            hint="change to another directory, or name the site: --site PATH",
            cause=error,
        )


def nowhere() -> NotASite:
    return NotASite(
        f"no site here: {working_directory()} belongs to none, and there is no {CONFIG_NAME} here or above",
        hint="name it: --site PATH, where PATH is the site's directory, one of its public paths, or a treeswap.toml",
    )


def _is_config(told: str) -> bool:
    """A file is a configuration, unless it lies in a release; everything else is for `Site.open` to judge."""
    path = Path(told).expanduser()
    return (path.suffix == ".toml" or path.is_file()) and not _in_a_release(path.parent)


def _in_a_release(directory: Path) -> bool:
    site = site_of(directory)
    return site is not None and directory.resolve() != site
