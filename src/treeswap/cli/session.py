"""One run of the program: its flags, the site it is about, and whom it talks to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from treeswap.errors import ConsentNeeded, UsageError
from treeswap.layout import Layout, id_in

from . import finding, words
from .signals import Signals
from .teller import Teller

if TYPE_CHECKING:
    import click

    from treeswap.config import Config
    from treeswap.outcomes import Event, Outcome
    from treeswap.release import ReleaseId
    from treeswap.site import Request, Site


class Flags:
    """The flags that all commands have."""

    def __init__(self) -> None:
        self.site: str | None = None
        self.env: str | None = None
        self.lock_wait: float | None = None
        self.json = False
        self.quiet = False
        self.verbose = False
        self._given: set[str] = set()

    @property
    def hushed(self) -> bool:
        """Whether only warnings and errors are told: a machine finds the rest in its object."""
        return self.quiet or (self.json and not self.verbose)

    def give(self, name: str, value: Any) -> None:
        """A flag of the command line."""
        self._given.add(name)
        setattr(self, name, value)

    def suggest(self, name: str, value: Any) -> None:
        """A flag of the environment."""
        if name not in self._given:
            setattr(self, name, value)


class Session:
    def __init__(self, args: Sequence[str]) -> None:
        self.args = list(args)
        self.flags = Flags()
        self.signals = Signals()
        self.teller = Teller(self.flags)
        self.command: click.Command | None = None
        self.root: Path | None = None
        self._named = False
        self._parsed = False

    @property
    def json(self) -> bool:
        """Whether the answer is a JSON object. Until the words are understood, the word alone tells."""
        return self.flags.json if self._parsed else "--json" in _before_dashes(self.args)

    def parsed(self) -> None:
        """Notes that all words of the command line were understood."""
        self._parsed = True

    # ------------------------------------------------------------ the site

    def site(self) -> Site:
        """The site that this command is about, which must exist. `NotASite`."""
        from treeswap.site import Site

        place = finding.place(self.flags.site)
        if place is not None:
            return self.about(Site.open(place, **self.adapters()), named=self.flags.site is not None)
        site = self.configured_site(self.config_or_none())
        if not site.exists:
            from treeswap.errors import NotASite

            raise NotASite(f"there is no site at {site.root} yet", hint="make it: treeswap deploy, or treeswap init")
        return site

    def about(self, site: Site, *, named: bool = False) -> Site:
        """Notes which site it is, for what is said about it later; `named`: it took a word to find it."""
        self.root = site.root
        self._named = named
        return site

    def told_place(self, deploy_to: str | None) -> Path | None:
        """SITE, where a flag says which; None: the public paths decide."""
        if deploy_to is not None:
            return Path(os.path.expanduser(deploy_to))
        return self.site().root if self.flags.site is not None else None

    def configured_site(self, config: Config | None) -> Site:
        """The site of a configuration, which may not exist yet."""
        if config is None:
            raise finding.nowhere()
        return self.about(config.site(**self.adapters()))

    def config_or_none(self) -> Config | None:
        """The configuration that is in reach, if any."""
        file = finding.config_file(self.flags.site)
        if file is None:
            return None
        from treeswap import config

        return config.load(file, self.flags.env, os.environ)

    def config(self) -> Config:
        """The configuration of a command that cannot do without."""
        config = self.config_or_none()
        if config is None:
            raise UsageError(
                f"no {finding.CONFIG_NAME} here or above",
                hint="write one (treeswap init --site PATH makes it from a site), or use: treeswap copy SRC:DEST …",
            )
        return config

    def reached_config(self) -> Config | None:
        """The configuration, if it is what says which site this is about: nothing of higher rank does."""
        return self.config_or_none() if finding.place(self.flags.site) is None else None

    def deployable(self) -> tuple[Site, Config]:
        """The configuration that a deploy follows, and its site; a site named by --site must be the same."""
        config = self.config()
        if not config.sources:
            raise UsageError(f"no tree in {config.file} has a source", hint='set trees.NAME.source = "DIRECTORY"')
        place = finding.place(self.flags.site) if self.flags.site is not None else None
        site = self.configured_site(config)
        if place is not None and self.site().root != site.root:
            raise UsageError(
                f"{config.file} is for the site {site.root}, not for {self.root}",
                hint="leave --site (or $TREESWAP_SITE) out, or name the configuration file with it",
            )
        return site, config

    def adapters(self) -> dict[str, Any]:
        """What every site is opened with."""
        return {
            "listener": self.listen,
            "lock_wait": self.flags.lock_wait or 0.0,
            "by": os.environ.get("SUDO_USER") if os.geteuid() == 0 else None,
            "excluding": _excluding,
        }

    def current(self) -> ReleaseId | None:
        """The release that is being served, as the link tells."""
        if self.root is None:
            return None
        try:
            return id_in(os.readlink(Layout(self.root).current))
        except OSError:
            return None

    def command_for(self, *more: str) -> str:
        """`treeswap MORE`, with what it takes to find this site again."""
        where = ["--site", str(self.root)] if self._named and self.root else []
        return words.command_line(["treeswap", *more, *where])

    # ------------------------------------------------------------ telling and asking

    def listen(self, event: Event) -> None:
        self.signals.step(event.step)
        self.teller.hear(event)

    def agreed(self, act: Callable[..., Outcome]) -> Outcome:
        """What `act` does, after asking a person for the consents that it needs and is then called with, by name."""
        given: dict[str, bool] = {}
        while True:
            try:
                return act(**given)
            except ConsentNeeded as needed:
                missing = {flag.lstrip("-").replace("-", "_") for flag in needed.flags} - given.keys()
                if not self._can_ask() or not missing:
                    raise
                self._ask(needed)
                given |= dict.fromkeys(missing, True)

    def deployed(self, act: Callable[[Request], Outcome], request: Request) -> Outcome:
        """`agreed`, for what takes a request."""
        from dataclasses import replace

        return self.agreed(lambda **consents: act(replace(request, **consents)))

    def with_flags(self, flags: Sequence[str]) -> str:
        """The command that was typed, with these flags added."""
        before = _before_dashes(self.args)
        return words.command_line(["treeswap", *before, *flags, *self.args[len(before) :]])

    def _can_ask(self) -> bool:
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    def _ask(self, needed: ConsentNeeded) -> None:
        import click

        self.teller.stop()
        self.teller.tell(needed.message)
        if not click.confirm("Go on?", err=True):
            raise UsageError("not agreed, so nothing was changed", hint=needed.hint)


def _before_dashes(args: list[str]) -> list[str]:
    return args[: args.index("--")] if "--" in args else args


def _excluding(patterns: Sequence[str]) -> Callable[[str, bool], bool]:
    from treeswap.config.excludes import excluding

    return excluding(patterns)
