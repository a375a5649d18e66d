"""What a deploy would do, as a person's plan."""

from __future__ import annotations

from treeswap.outcomes import FileCounts, Plan, TreePlan
from treeswap.release import Command, Settings

from . import forecast
from .core import Core
from .work import Work, path_of


def plan_of(core: Core, work: Work, *, switch: bool = True) -> Plan:
    """The work as a person's plan."""
    trees, steps = [], []
    for name, tree in work.site.trees.items():
        done = work.trees.get(name)
        new = name in work.new
        adopts = tree in work.adopting
        counts = done.counts if done and new else FileCounts()
        size = done.bytes_needed if done and new else 0
        source = path_of(work.request.sources[name]) if name in work.request.sources else None
        trees.append(
            TreePlan(
                name, "new" if new else "kept", counts, size, tree.path, source, name in work.joining, adopts,
                work.only_live.get(name, ()),
            )
        )  # fmt: skip
        if new:
            files = f"{counts.copied} copied ({size:,} bytes), {counts.linked} linked, {counts.removed} removed"
            steps.append(f"stage {name}: {files}")
    if work.building:
        steps += [f"build: {told(command)}" for command in work.builds]
    if work.changes:
        steps.append("seal the release")
        if switch:
            processes, settings = work.site.settings.processes, work.site.settings
            steps += migration_steps(settings)
            steps += forecast.before_the_switch(processes)
            steps += adoption_steps(work)
            steps.append(f"switch {core.layout.current} to it")
            steps += [f"run: {told(command)}" for command in work.site.settings.after_switch]
            steps += forecast.after_the_switch(core, processes, settings, work.current)
            steps.append(f"prune down to {work.site.settings.keep_releases} releases")
    local = [f"build: {told(command)}" for command in work.site.settings.build if command.local]
    steps = local + steps
    nothing = ("nothing: every tree equals the current release's",)
    return Plan(tuple(steps) or nothing, work.changes or bool(local), core.root, tuple(trees))


def told(command: Command) -> str:
    """A command, and where it runs if that is not in the first tree."""
    if command.local:
        return f"{command.run} (local, in {command.directory})"
    return f"{command.run} (in {command.tree})" if command.tree else command.run


def migration_steps(settings: Settings) -> list[str]:
    auto = settings.maintenance == "auto"
    return [f"migrate: {told(c)}" + (", in maintenance" if c.exclusive and auto else "") for c in settings.migrate]


def adoption_steps(work: Work) -> list[str]:
    return [
        f"adopt {tree.path}: it becomes a link, its content the version of {tree.name} to go back to"
        for tree in work.adopting
    ]
