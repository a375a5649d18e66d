"""What the rules of one kind of server found, and whether its user gets at what it serves: the findings of a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from treeswap.outcomes import Finding

from .reach import blocked, closed_in
from .seam import Reader
from .watched import Watched, warning


def findings(
    server: str,
    main: Path,
    reader: Reader,
    site: Watched,
    shown: Iterable[str],
    sockets: Sequence[str],
    broken: Sequence[Finding],
) -> list[Finding]:
    """`shown` are the directories that it serves files from, `sockets` those of the site that it connects to."""
    shown = [text for text in dict.fromkeys(shown) if site.touched(text)]
    if not shown and not sockets and not broken:
        return []
    trees = dict.fromkeys(name for text in shown for name in site.served(text))
    found = [*broken, *_closed_trees(server, reader, site, trees), *_closed_sockets(server, reader, sockets)]
    return found or [Finding(server, True, f"{main}: nothing in it breaks the promise")]


def _closed_trees(server: str, reader: Reader, site: Watched, trees: Iterable[str]) -> Iterable[Finding]:
    for name in trees:
        place = site.layout.current / name
        if told := blocked(place, reader):
            yield _out_of_reach(
                server, reader, f"cannot reach {place}: {told}", f"open it: chmod o+x {told.split()[0]}"
            )
            continue
        count, first = closed_in(place.resolve(), reader)
        if first is not None:
            fact = f"cannot read {count:,} of the entries of {place}, the first being {first}"
            yield _out_of_reach(server, reader, fact, f"chmod -R o+rX the source of {name}, and deploy it")


def _closed_sockets(server: str, reader: Reader, sockets: Iterable[str]) -> Iterable[Finding]:
    for text in sockets:
        if told := blocked(Path(text), reader, 2):
            fact = f"cannot connect to {text}: {told}"
            yield _out_of_reach(server, reader, fact, "let the process make its socket with umask 0, or in a group")


def _out_of_reach(server: str, reader: Reader, fact: str, hint: str) -> Finding:
    return warning(server, f"its user ({_user(reader.uid)}) {fact}", hint)


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
