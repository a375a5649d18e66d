"""A hold on a site: while its mark is there, every change is refused."""

from __future__ import annotations

import os

from . import durable
from .envelope import contents_or_none, seal, text_of, time_of, time_text, unseal
from .errors import Damaged, Held
from .layout import Layout
from .outcomes import HoldMark

_END = "`treeswap unlock` ends the hold"


def read(layout: Layout) -> HoldMark | None:
    """Who holds the site, why and since when; None where nobody does. `Damaged`."""
    if (data := contents_or_none(layout.hold)) is None:
        return None
    what = f"the hold {layout.hold}"
    value = unseal(data, what, _END)
    try:
        return HoldMark(text_of(value["why"]), text_of(value["by"]), time_of(value["since"]))
    except (KeyError, ValueError) as error:
        raise Damaged(f"{what} is damaged", hint=_END, cause=error)


def put(layout: Layout, mark: HoldMark) -> None:
    """Holds the site, or says something else of who does. Durable."""
    durable.replace_file(layout.hold, seal({"why": mark.why, "by": mark.by, "since": time_text(mark.since)}), 0o644)


def end(layout: Layout) -> bool:
    """Ends the hold; False where there was none. Durable."""
    held = os.path.lexists(layout.hold)
    durable.remove_durably([layout.hold], layout.private)
    return held


def refuse(layout: Layout) -> None:
    """`Held` while somebody holds the site."""
    if mark := read(layout):
        raise Held(f"the site is on hold since {mark.since:%Y-%m-%d %H:%M:%S} UTC by {mark.by}: {mark.why}", hint=_END)
