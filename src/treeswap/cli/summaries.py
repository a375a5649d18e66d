"""What a change did, or would do: for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from treeswap.outcomes import FileCounts, Outcome, Plan, Pruned, TreePlan

from . import words
from .report import Answer

if TYPE_CHECKING:
    from .session import Session

SHOWN = 10
"""How many names of a longer list are shown."""


def done(session: Session, outcome: Outcome, headline: str, *, back: str | None = None) -> Answer:
    """The answer of a command that changed a site. `headline` says what was done, `back` how to undo it."""
    for note in outcome.notes:
        session.teller.note(note)
    for warning in outcome.warnings:
        session.teller.warn(warning)
    lines = [_headline(session, outcome, headline)]
    if outcome.changed:
        if outcome.trees:
            lines.append(words.table(list(outcome.trees.items()), indent="  "))
        if any((outcome.files.linked, outcome.files.copied, outcome.files.removed)):
            lines.append("  " + _files(outcome.files))
    current = session.current()
    previous = f", before: {outcome.previous}" if outcome.previous and outcome.previous != current else ""
    lines.append(f"current: {current or 'none'}{previous}")
    if back and outcome.changed:
        lines.append(f"to undo: {back}")
    if session.flags.verbose and outcome.seconds:
        lines.append("steps: " + ", ".join(f"{step} {words.seconds(s)}" for step, s in outcome.seconds.items()))
    return Answer(outcome_fields(outcome), told="\n".join(lines))


def outcome_fields(outcome: Outcome) -> dict[str, object]:
    return {
        "changed": outcome.changed,
        "release": outcome.release,
        "previous": outcome.previous,
        "switched_at": outcome.switched_at,
        "trees": dict(outcome.trees),
        "files": _counts(outcome.files),
        "seconds": {step: round(seconds, 6) for step, seconds in outcome.seconds.items()},
        "notes": list(outcome.notes),
        "warnings": list(outcome.warnings),
    }


def planned(plan: Plan) -> Answer:
    """The answer of -n."""
    lines = ["Plan, nothing was touched:" if plan.changes else "Nothing to do."]
    if plan.site and plan.changes:
        lines.append(f"  site  {words.name(plan.site)}")
    if plan.changes and plan.trees:
        lines.append(words.table([_tree_row(tree) for tree in plan.trees], indent="  "))
    for tree in plan.trees:
        lines.extend(_only_live(tree))
    lines.extend(f"  {number}. {step}" for number, step in enumerate(plan.steps, 1))
    fields = {
        "dry_run": True,
        "changed": False,
        "plan": {
            "changes": plan.changes,
            "site": plan.site,
            "steps": list(plan.steps),
            "trees": {tree.name: _tree_fields(tree) for tree in plan.trees},
        },
    }
    return Answer(fields, text="\n".join(lines))


def pruned(session: Session, result: Pruned, *, dry: bool) -> Answer:
    """The answer of prune; a dry run's differs in tense only."""
    for warning in result.warnings:
        session.teller.warn(warning)
    rows = [[str(d.id), "kept" if d.keep else "removed", d.because] for d in result.decisions]
    if dry:
        rows = [[id, {"kept": "keep", "removed": "remove"}[verdict], because] for id, verdict, because in rows]
    number = words.count(len(result.removed), "release")
    headline = f"would remove {number}" if dry else f"removed {number}"
    text = "\n".join(filter(None, (words.table(rows) if rows else "", headline)))
    fields: dict[str, object] = {
        "changed": bool(result.removed) and not dry,
        "removed": list(result.removed),
        "decisions": [{"id": d.id, "keep": d.keep, "because": d.because} for d in result.decisions],
        "warnings": list(result.warnings),
    }
    if dry:
        return Answer({"dry_run": True, **fields}, text=text)
    return Answer(fields, told=text)


def _headline(session: Session, outcome: Outcome, headline: str) -> str:
    if not outcome.changed:
        return f"Nothing changed in {words.name(session.root)}"
    took = f" in {words.seconds(sum(outcome.seconds.values()))}" if outcome.seconds else ""
    return f"{headline} ({words.name(session.root)}){took}"


def _files(files: FileCounts) -> str:
    return f"{files.linked:,} linked, {files.copied:,} copied, {files.removed:,} removed"


def _tree_row(tree: TreePlan) -> list[str]:
    told = ["joins the site"] if tree.joins else []
    told += ["adopts the live directory"] if tree.adopts else []
    if tree.state == "new":
        told.append(f"{_files(tree.files)}, {words.size(tree.bytes)}")
    return [tree.name, tree.state, words.name(tree.path or ""), "; ".join(told)]


def _only_live(tree: TreePlan) -> list[str]:
    if not tree.only_live:
        return []
    lines = [f"  only the live {words.name(tree.path)} has, and no release will (keep with --shared {tree.name}/PATH):"]
    lines += [f"    {words.name(name)}" for name in tree.only_live[:SHOWN]]
    if len(tree.only_live) > SHOWN:
        lines.append(f"    … and {len(tree.only_live) - SHOWN} more")
    return lines


def _tree_fields(tree: TreePlan) -> dict[str, object]:
    return {
        "state": tree.state,
        "path": tree.path,
        "source": tree.source,
        "joins": tree.joins,
        "adopts": tree.adopts,
        "only_live": list(tree.only_live),
        "files": _counts(tree.files),
        "bytes": tree.bytes,
    }


def _counts(files: FileCounts) -> dict[str, int]:
    return {"linked": files.linked, "copied": files.copied, "removed": files.removed}
