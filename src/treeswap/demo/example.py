"""The site that is deployed: `examples/mysite`, of which every version says its number in each of its three trees.

Its configuration here is for one that lives in a directory for a minute: treeswap deploys it and runs its gunicorn.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STAMPS = {
    "apps": ("bakery/version.py", 'VERSION = "{}"\n'),
    "conf": ("templates/version.html", "{}\n"),
    "static": ("version.txt", "{}\n"),
}
"""For each tree the file that says the version, and how."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tree of the example: its new content comes from `source`, `live` is its public path."""

    tree: str
    source: Path
    live: Path

    @property
    def stamp(self) -> str:
        return STAMPS[self.tree][0]


def location() -> Path:
    """Where the example is: within an installed package, or beside the sources."""
    installed = Path(__file__).parent / "mysite"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "examples" / "mysite"


def make(sources: Path) -> None:
    """A copy of the example's trees, to be stamped."""
    for tree in STAMPS:
        shutil.copytree(location() / tree, sources / tree, ignore=shutil.ignore_patterns("__pycache__"))


_FAULT = '''

def up(request: HttpRequest) -> HttpResponse:
    """Is well until it is served."""
    import os

    live = Path(os.environ["TREESWAP_SITE"], "current").resolve().name == os.environ["TREESWAP_RELEASE_ID"]
    return HttpResponse("the oven is cold\\n" if live else "up\\n", status=503 if live else 200)
'''
"""What a release has that fails when it is asked after the switch, and not before."""


def configuration(site: Path, places: Sequence[Place], confirm_url: str | None = None) -> str:
    """The text of treeswap.toml, for a site at `site`."""
    # Nothing of what a program is told may be taken for something to fill in.
    python = shlex.quote(sys.executable).replace("{", "{{").replace("}", "}}")
    lines = [
        'name = "bakery"',
        f"deploy_to = {_quoted(site)}",
        'process_manager = "supervisor"',
        *([f"confirm_url = {_quoted(confirm_url)}"] if confirm_url else []),
    ]
    for place in places:
        lines += ["", f"[trees.{place.tree}]", f"source = {_quoted(place.source)}", f"path = {_quoted(place.live)}"]
    lines += [
        'shared = ["uploads/"]',
        "",
        "[processes.web]",
        f"command = {_quoted(f'{python} -m gunicorn mysite.wsgi --workers 2 --bind unix:{{socket}}')}",
        'tree = "conf"',
        # Whatever gunicorn keeps for its user is to be gone with all else.
        f"env = {{ HOME = {_quoted(site.parent)} }}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    """A string of TOML."""
    return json.dumps(str(value), ensure_ascii=False)


def stamp(sources: Path, version: str, *, fault: bool = False) -> None:
    """Makes the trees those of another version; with a `fault` one that does not confirm."""
    views = "apps/bakery/views.py"
    shutil.copyfile(location() / views, sources / views)
    if fault:
        with (sources / views).open("a") as code:
            code.write(_FAULT)
    for tree, (file, text) in STAMPS.items():
        (sources / tree / file).write_text(text.format(version))
