"""treeswap diff [A [B]]: what one release has that another has not."""

from __future__ import annotations

import click

from treeswap.outcomes import Difference

from . import completing, words
from .command import LOOKS, verb
from .report import Answer
from .session import Session

SIGNS = {"added": "+", "changed": "~", "removed": "-"}


@verb("diff", example="treeswap diff\ntreeswap diff previous current", exits=LOOKS)
@click.argument("a", metavar="[A]", required=False, shell_complete=completing.releases)
@click.argument("b", metavar="[B]", required=False, shell_complete=completing.releases)
@click.pass_obj
def command(session: Session, /, a: str | None, b: str | None) -> Answer:
    """Show what release B has that A has not, by tree.

    Without B, what current has that A has not; without A too, what current has that the previous release had not.
    """
    difference = session.site().diff(a, b)
    return Answer(_fields(difference), text=_text(difference))


def _fields(difference: Difference) -> dict[str, object]:
    trees = {
        name: {"added": list(tree.added), "changed": list(tree.changed), "removed": list(tree.removed)}
        for name, tree in difference.trees.items()
    }
    return {"a": difference.a, "b": difference.b, "trees": trees}


def _text(difference: Difference) -> str:
    lines = [f"from {difference.a} to {difference.b}"]
    for name, tree in difference.trees.items():
        parts = {"added": tree.added, "changed": tree.changed, "removed": tree.removed}
        lines.append(f"{name}: " + ", ".join(f"{len(paths)} {word}" for word, paths in parts.items()))
        lines += [f"  {SIGNS[word]} {words.name(path)}" for word, paths in parts.items() for path in paths]
    return "\n".join(lines)
