"""What in a configuration of nginx breaks the promise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from treeswap.outcomes import Finding

from .directive import Directive
from .watched import Watched, warning

NAME = "nginx"
KEEPS_BY_DEFAULT = (1, 29, 7)
"""From this version on, an `upstream` block without `keepalive` has one."""
_INHERITED = ("root", "open_file_cache", "disable_symlinks", "fastcgi_keep_conn")
_LISTS = ("fastcgi_param", "proxy_set_header", "grpc_set_header")
_BLOCKS = ("http", "server", "location", "if", "limit_except")
_PASSES = ("proxy_pass", "fastcgi_pass", "grpc_pass")


@dataclass(frozen=True, slots=True)
class Place:
    """A server, location or the like, with all that holds in it: `single` by name, `lists` those that only a block
    without any of its own inherits, `variables` as far as `set` tells; `own` is what stands in it."""

    own: tuple[Directive, ...] = ()
    single: dict[str, Directive] = field(default_factory=dict)
    lists: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def inside(self, block: tuple[Directive, ...]) -> Place:
        single, lists, variables = dict(self.single), dict(self.lists), dict(self.variables)
        for directive in block:
            if directive.name in _INHERITED:
                single[directive.name] = directive
            elif directive.name == "set" and len(directive.words) == 3:
                variables[directive.words[1]] = directive.words[2]
        if any(directive.name == "alias" for directive in block):
            single.pop("root", None)
        for name in _LISTS:
            if own := tuple(directive for directive in block if directive.name == name):
                lists[name] = own
        return replace(self, own=block, single=single, lists=lists, variables=variables)

    @property
    def directory(self) -> str | None:
        """What files come from here."""
        alias = next((d for d in self.own if d.name == "alias"), None) or self.single.get("root")
        if alias is None or len(alias.words) < 2:
            return None
        text = alias.words[1]
        for name, value in self.variables.items():
            if value.startswith("/"):
                text = text.replace(name, value).replace(f"${{{name[1:]}}}", value)
        return text


def places(block: tuple[Directive, ...], outer: Place | None = None) -> Iterator[Place]:
    """Every server and location of the configuration."""
    here = (outer or Place()).inside(block)
    if outer is not None:
        yield here
    for directive in block:
        if directive.block is not None and directive.name in _BLOCKS:
            yield from places(directive.block, here)


def broken(configuration: tuple[Directive, ...], site: Watched, version: tuple[int, ...] | None) -> list[Finding]:
    """A warning for each rule that is broken, once."""
    found: dict[Finding, None] = {}
    upstreams, closing = dict(_upstreams(configuration)), {"close", *_closing(configuration)}
    for upstream in upstreams.values():
        found |= dict.fromkeys(_nailed(upstream.block or (), site))
    for place in places(configuration):
        found |= dict.fromkeys(_nailed(place.own, site))
        found |= dict.fromkeys(_kept(place, upstreams, closing, site, version))
        if place.directory is not None and site.touched(place.directory):
            found |= dict.fromkeys((*_cached(place), *_refused(place), *_php(place)))
    return list(found)


def sockets(configuration: tuple[Directive, ...], site: Watched) -> list[str]:
    """The sockets of the site that it connects to."""
    passing = [d for place in places(configuration) for d in place.own if d.name.endswith("_pass")]
    members = [d for upstream in dict(_upstreams(configuration)).values() for d in upstream.block or ()]
    found = (_socket(word) for directive in (*passing, *members) for word in directive.words[1:])
    return sorted({path for path in found if path is not None and site.touched(path)})


def _upstreams(configuration: Iterable[Directive]) -> Iterator[tuple[str, Directive]]:
    for directive in configuration:
        if directive.name == "http":
            yield from _upstreams(directive.block or ())
        elif directive.name == "upstream" and len(directive.words) == 2:
            yield directive.words[1], directive


def _socket(word: str) -> str | None:
    """The path in `unix:/PATH`, or in `http://unix:/PATH:/URI`."""
    _, unix, path = word.partition("unix:")
    return path.partition(":")[0] if unix else None


def _nailed(block: Iterable[Directive], site: Watched) -> Iterator[Finding]:
    for directive in block:
        told = site.nailed(NAME, directive.words[1:], f"{directive.where}: {directive.name}")
        if told:
            yield told


def _cached(place: Place) -> Iterator[Finding]:
    cache = place.single.get("open_file_cache")
    if cache and cache.words[1:] != ("off",):
        yield warning(
            NAME,
            f"{cache.where}: open_file_cache goes on showing files of the release before, until it looks again",
            "put into the site's server block: open_file_cache off;",
        )


def _refused(place: Place) -> Iterator[Finding]:
    links = place.single.get("disable_symlinks")
    if links and links.words[1:] != ("off",):
        yield warning(
            NAME,
            f"{links.where}: disable_symlinks {' '.join(links.words[1:])} refuses what public paths are: symlinks",
            "put into the site's server block: disable_symlinks off;",
        )


def _php(place: Place) -> Iterator[Finding]:
    if not any(directive.name == "fastcgi_pass" for directive in place.own):
        return
    last = {d.words[1]: d for d in place.lists.get("fastcgi_param", ()) if len(d.words) > 2}
    for name in ("SCRIPT_FILENAME", "DOCUMENT_ROOT"):
        if (told := last.get(name)) and any(v in told.words[2] for v in ("$document_root", "$request_filename")):
            better = "$realpath_root$fastcgi_script_name" if name == "SCRIPT_FILENAME" else "$realpath_root"
            yield warning(
                NAME,
                f"{told.where}: {name} is {told.words[2]}: PHP then sees current, and runs files of two releases",
                f"put into that location, after its include: fastcgi_param {name} {better};",
            )


def _kept(
    place: Place,
    upstreams: dict[str, Directive],
    closing: set[str],
    site: Watched,
    version: tuple[int, ...] | None,
) -> Iterator[Finding]:
    for directive in place.own:
        if directive.name not in _PASSES or len(directive.words) < 2 or _closed(place, directive.name, closing):
            continue
        upstream = upstreams.get(directive.words[1].rpartition("://")[2].partition("/")[0])
        members = upstream.block or () if upstream else ()
        paths = [path for member in members for word in member.words[1:] if (path := _socket(word))]
        if upstream is None or not any(site.touched(path) for path in paths):
            continue
        told = next((member for member in members if member.name == "keepalive"), None)
        if told and told.words[1:2] != ("0",):
            fact = f"{told.where}: keepalive keeps connections to the processes of the release before"
            yield warning(NAME, fact, 'remove it, or put beside proxy_pass: proxy_set_header Connection "close";')
        elif told is None and version is not None and version >= KEEPS_BY_DEFAULT:
            fact = f"{upstream.where}: this nginx keeps connections to the processes of the release before by default"
            yield warning(NAME, fact, "put into the upstream block: keepalive 0;")


def _closed(place: Place, kind: str, closing: set[str]) -> bool:
    """Whether connections end with their request all the same."""
    if kind == "fastcgi_pass":
        keeps = place.single.get("fastcgi_keep_conn")
        return keeps is None or keeps.words[1:] != ("on",)
    headers = place.lists.get("proxy_set_header" if kind == "proxy_pass" else "grpc_set_header", ())
    return any(header.words[1] == "Connection" and header.words[-1] in closing for header in headers)


def _closing(configuration: Iterable[Directive]) -> Iterator[str]:
    """The variables that are `close` for whoever asks for no WebSocket."""
    for directive in configuration:
        if directive.name == "http":
            yield from _closing(directive.block or ())
        elif directive.name == "map" and ("", "close") in [it.words for it in directive.block or ()]:
            yield directive.words[-1]
