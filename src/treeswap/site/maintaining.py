"""Putting the maintenance page up and taking it down by hand: `treeswap maintenance on|off`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from treeswap import durable, maintenance, stage
from treeswap.errors import Failed, UsageError
from treeswap.outcomes import MaintenanceMark, Outcome, Plan
from treeswap.release import ReleaseId
from treeswap.sources import Directory

from . import rolling, sign
from .core import Core
from .deploying import Deploy
from .request import Request

DOING = "maintenance"


def mark_of(core: Core, message: str | None, retry_after: float | None) -> MaintenanceMark:
    mark = MaintenanceMark(message or "put up by hand", core.by, core.clock())
    if message is not None:
        mark = replace(mark, message=message)
    return mark if retry_after is None else replace(mark, retry_after=max(1, round(retry_after)))


def on(core: Core, mark: MaintenanceMark, *, as_release: bool, tree: str | None) -> Outcome:
    """Puts the page up, or another one in its place. `tree` is the one that holds it in a release of its own."""
    if not as_release:
        if tree is not None:
            raise UsageError("a tree holds the page only in a release of its own", hint="add --as-release")
        with core.switching(DOING) as notes:
            _refuse_release(core)
            sign.put_up(core, mark)
            return Outcome(True, core.ground.current(), notes=tuple(notes))
    name = _tree_for_page(core, tree)
    with core.switching(DOING):
        _refuse_release(core)
        if core.ground.current() is None:
            raise Failed("there is no release yet to come back to", hint="deploy one first")
    release = _seal_page(core, mark, name)
    with core.switching(DOING):
        sign.put_up(core, replace(mark, release=release, before=core.ground.current()))
    return rolling.go_to(core, release, leave_strays=True, force=False, adopt=False)


def off(core: Core) -> Outcome:
    """Takes the page down, whoever has put it up."""
    with core.switching(DOING) as notes:
        mark = sign.now(core)
        if mark is None:
            return Outcome(False, core.ground.current(), notes=tuple(notes))
        if mark.release is None or mark.before is None:
            sign.take_down(core, "by hand")
            return Outcome(True, core.ground.current(), notes=tuple(notes))
    # Back to what was served before, which marks the page's own release bad: no rollback goes there.
    outcome = rolling.rollback(core, mark.before, force=False)
    with core.switching(DOING):
        sign.take_down(core, "by hand")
    return outcome


def plan(core: Core, *, on: bool, as_release: bool, tree: str | None) -> Plan:
    mark = sign.now(core)
    if on and as_release:
        step = f"switch to a release of its own, in which {_tree_for_page(core, tree)} holds the page"
    elif on:
        step = f"put up {core.layout.maintenance_page}"
    elif mark is None:
        return Plan(("nothing: the site is not in maintenance",), False, core.root)
    elif mark.release is not None:
        step = f"switch back from {mark.release} to {mark.before}"
    else:
        step = f"remove {core.layout.maintenance_page}"
    return Plan((step,), True, core.root)


def _refuse_release(core: Core) -> None:
    mark = sign.now(core)
    if mark is not None and mark.release is not None:
        raise Failed(f"{mark.release}, which is current, holds the maintenance page", hint="treeswap maintenance off")


def _tree_for_page(core: Core, tree: str | None) -> str:
    if core.settings.processes:
        raise UsageError("this site has processes, whose web server looks for the page", hint="leave --as-release out")
    if tree is not None and tree not in core.trees:
        raise UsageError(f"the site has no tree {tree!r}", hint=f"it has: {', '.join(core.trees) or 'none'}")
    public = next((name for name, t in core.trees.items() if t.path is not None), next(iter(core.trees), None))
    if public is None:
        raise UsageError("the site has no tree that could hold the page", hint="deploy one first")
    return tree or public


def _seal_page(core: Core, mark: MaintenanceMark, tree: str) -> ReleaseId:
    """Seals a release in which this tree holds the page and nothing else."""
    directory = core.layout.private / durable.temporary_name("page")
    request = Request(
        {tree: Directory(directory, ours=True)},
        {tree: core.trees[tree]},
        label="maintenance",
        force=True,
        leave_strays=True,
        build=False,
    )
    # Only then the directory: what was there before would have been swept.
    with Deploy(core, request, DOING) as deploy, _holding_page(directory, mark):
        deploy.check()
        deploy.stage()
        id = deploy.seal().id
        deploy.keep()
        deploy.staged()
        return id


@contextmanager
def _holding_page(directory: Path, mark: MaintenanceMark) -> Iterator[None]:
    directory.mkdir(0o700)
    try:
        index = directory / "index.html"
        index.write_text(maintenance.page(mark), errors="replace")
        directory.chmod(0o755)
        index.chmod(0o644)
        yield
    finally:
        stage.remove(directory)
