"""The maintenance page of a site, and who has put it up.

Promise: while SITE/maintenance/page.html is there, the site is in maintenance; web servers look for that file, and
answer 503 with it. It comes by one rename, and goes by one unlink. Why it is there is said in a file of treeswap's own,
which is on disk before it; without it the page counts all the same.

Where no web server looks, a release of its own holds the page: then it is in maintenance while that one is current.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from . import durable
from .envelope import contents, count_of, seal, text_of, time_of, time_text, unseal
from .errors import Damaged
from .layout import Layout
from .outcomes import MaintenanceMark
from .release import ReleaseId

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{seconds}">
<title>Maintenance</title>
<style>body {{ font: 1.1em/1.5 sans-serif; max-width: 36em; margin: 20vh auto 0; padding: 0 1em }}</style>
</head>
<body>
<h1>Maintenance</h1>
<p>{message}</p>
</body>
</html>
"""


def page(mark: MaintenanceMark) -> str:
    """What visitors see; their browsers ask again by themselves."""
    import html  # not at the top: `status` needs none of it, and it is slow to import

    return _PAGE.format(message=html.escape(mark.message), seconds=mark.retry_after)


def read(layout: Layout, current: ReleaseId | None) -> MaintenanceMark | None:
    """Who has put the page up and why; None where the site is not in maintenance."""
    mark = _read(layout)
    try:
        since = datetime.fromtimestamp(os.lstat(layout.maintenance_page).st_mtime, UTC)
    except OSError:
        return mark if mark and mark.release is not None and mark.release == current else None
    return mark if mark and mark.release is None else MaintenanceMark("put up by hand", "", since)


def is_left_over(layout: Layout) -> bool:
    """Whether only the mark is there: who put the page up, or took it down, died between the two."""
    if os.path.lexists(layout.maintenance_page):
        return False
    mark = _read(layout)
    return mark is not None and mark.release is None


def put_up(layout: Layout, mark: MaintenanceMark) -> None:
    """Durable. The site is in maintenance from here on, unless a release is to hold the page."""
    value = {
        "why": mark.why,
        "by": mark.by,
        "since": time_text(mark.since),
        "message": mark.message,
        "retry_after": mark.retry_after,
        "deploy": mark.deploy,
        "release": mark.release,
        "before": mark.before,
    }
    durable.replace_file(layout.maintenance_mark, seal(value), 0o644)
    if mark.release is not None:
        return
    try:
        durable.make_directories_durably(layout.maintenance, 0o755)
        durable.replace_file(layout.maintenance_page, page(mark).encode(errors="replace"), 0o644)
    except OSError:
        if is_left_over(layout):
            with suppress(OSError):
                durable.remove_durably([layout.maintenance_mark], layout.private)
        raise


def take_down(layout: Layout) -> None:
    """Durable. What is not there is well."""
    if layout.maintenance.is_dir():
        durable.remove_durably([layout.maintenance_page], layout.maintenance)
    durable.remove_durably([layout.maintenance_mark], layout.private)


def _read(layout: Layout) -> MaintenanceMark | None:
    """One that makes no sense is none: the page itself is what counts."""
    try:
        value = unseal(contents(layout.maintenance_mark), str(layout.maintenance_mark))
        return MaintenanceMark(
            text_of(value["why"]),
            text_of(value["by"]),
            time_of(value["since"]),
            text_of(value["message"]),
            count_of(value["retry_after"]),
            _id(value["deploy"]),
            _id(value["release"]),
            _id(value["before"]),
        )
    except (OSError, Damaged, KeyError, ValueError):
        return None


def _id(value: Any) -> ReleaseId | None:
    return None if value is None else ReleaseId.parse(value)
