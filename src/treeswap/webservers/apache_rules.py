"""What in a configuration of Apache breaks the promise."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from treeswap.outcomes import Finding

from .directive import Directive
from .watched import Watched, warning

NAME = "apache"
_FOLLOWS, _IF_OWNER = "followsymlinks", "symlinksifownermatch"
_ALL = frozenset({"indexes", "includes", "execcgi", _FOLLOWS})
_CONNECTS = ("proxypass", "proxypassmatch", "balancermember")
_MAPS = {"documentroot": 1, "alias": 2}
"""Directives that name a directory to serve, and which of their words it is."""


@dataclass(frozen=True, slots=True)
class Host:
    """The main server or a virtual host: what stands in it, `Directory` sections those of the main server before its
    own."""

    own: tuple[Directive, ...]
    sections: tuple[Directive, ...]

    def shown(self) -> Iterator[tuple[Directive, str]]:
        """The directories that it serves, with the directive that says so."""
        for directive in self.own:
            at = _MAPS.get(directive.name, len(directive.words))
            if at < len(directive.words):
                yield directive, directive.words[at]


def hosts(configuration: tuple[Directive, ...]) -> Iterator[Host]:
    main = tuple(d for d in configuration if d.name == "directory")
    yield Host(configuration, main)
    for directive in configuration:
        if directive.name == "virtualhost" and directive.block is not None:
            yield Host(directive.block, (*main, *(d for d in directive.block if d.name == "directory")))


def broken(configuration: tuple[Directive, ...], site: Watched) -> list[Finding]:
    """A warning for each rule that is broken, once."""
    found: dict[Finding, None] = {}
    for host in hosts(configuration):
        every = tuple(_flat(host.own))
        for directive in every:
            told = site.nailed(NAME, directive.words[1:], f"{directive.where}: {directive.name}")
            found |= {told: None} if told else {}
        found |= dict.fromkeys(_kept(every, site))
        for directive, text in host.shown():
            if site.touched(text):
                found |= dict.fromkeys(_links(host, directive, text, site))
    return list(found)


def shown(configuration: tuple[Directive, ...]) -> list[str]:
    return [text for host in hosts(configuration) for _, text in host.shown()]


def sockets(configuration: tuple[Directive, ...], site: Watched) -> list[str]:
    """The sockets of the site that it connects to."""
    found = (_socket(word) for directive in _flat(configuration) for word in directive.words[1:])
    return sorted({path for path in found if path is not None and site.touched(path)})


def _flat(block: Iterable[Directive]) -> Iterator[Directive]:
    for directive in block:
        yield directive
        yield from _flat(directive.block or ())


def _socket(word: str) -> str | None:
    """The path in `unix:/PATH|http://…`."""
    head, unix, path = word.partition("unix:")
    return path.partition("|")[0] if unix and head in ("", "proxy:") else None


def _kept(directives: Iterable[Directive], site: Watched) -> Iterator[Finding]:
    for directive in directives:
        words = [word.lower() for word in directive.words]
        paths = [path for word in directive.words if (path := _socket(word)) and site.touched(path)]
        if directive.name in _CONNECTS and paths and "|fcgi:" not in "".join(words) and "disablereuse=on" not in words:
            yield warning(
                NAME,
                f"{directive.where}: {directive.words[0]} keeps connections to the processes of the release before",
                "add to it: disablereuse=On",
            )


def _links(host: Host, directive: Directive, text: str, site: Watched) -> Iterator[Finding]:
    """Whether each symlink on the way to what is served is followed: Apache asks for each by its name in the path."""
    for link in _symlinks(text, site):
        options, said = _options(host, link)
        where = said.where if said else directive.where
        if _FOLLOWS in options:
            continue
        if _IF_OWNER not in options:
            yield warning(
                NAME,
                f"{where}: no Options here let Apache follow the symlink {link}; it answers 403",
                f'put into <Directory "{site.root}">: Options FollowSymLinks',
            )
        elif (told := _owners_differ(link)) is not None:
            yield warning(
                NAME,
                f"{where}: SymLinksIfOwnerMatch refuses the symlink {link}: {told}",
                f'put into <Directory "{site.root}">: Options FollowSymLinks; or give both to one user, in the source',
            )
        else:
            continue
        return


def _symlinks(text: str, site: Watched) -> Iterator[Path]:
    path = Path(os.path.normpath(text))
    yield from (here for here in [*reversed(path.parents), path] if here.is_symlink())
    for name in site.served(text):
        tree = site.trees[name]
        yield from (here for shared in tree.shared if (here := path / shared.rstrip("/")).is_symlink())


def _options(host: Host, link: Path) -> tuple[frozenset[str], Directive | None]:
    """The options in force for a path, and the directive that had the last word."""
    options, said = frozenset({_FOLLOWS}), None
    for section in sorted(host.sections, key=lambda it: len(Path(it.words[-1]).parts)):
        if not _covers(section.words[-1], link):
            continue
        for directive in section.block or ():
            if directive.name == "options":
                options, said = _merged(options, [word.lower() for word in directive.words[1:]]), directive
    return options, said


def _merged(before: frozenset[str], words: list[str]) -> frozenset[str]:
    if not any(word[:1] in "+-" for word in words):
        before = frozenset()
    for word in words:
        bare = word.lstrip("+-")
        meant = _ALL if bare == "all" else frozenset() if bare == "none" else frozenset({bare})
        before = before - meant if word.startswith("-") else before | meant
    return before


def _covers(pattern: str, path: Path) -> bool:
    """Whether a `Directory` section holds for a path: it names it or a directory above it."""
    if not pattern.startswith("/"):
        return False
    depth = len(Path(pattern).parts)
    return fnmatch.fnmatchcase("/".join(path.parts[:depth]), "/".join(Path(pattern).parts))


def _owners_differ(link: Path) -> str | None:
    try:
        one, other = os.lstat(link).st_uid, os.stat(link).st_uid
    except OSError:
        return None
    return f"it is of user {one}, and what it leads to of user {other}" if one != other else None
