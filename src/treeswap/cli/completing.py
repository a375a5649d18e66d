"""What the shell offers: release ids, labels, and names of trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from treeswap.errors import TreeswapError

from . import words

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def releases(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of releases, and the two words that stand for one."""
    from click.shell_completion import CompletionItem

    try:
        rows = ctx.obj.site().releases()
    except (TreeswapError, OSError):
        return []
    offered = [CompletionItem(word) for word in ("current", "previous")]
    for row in rows:
        told = " ".join(filter(None, (row.state, words.when(row.record.sealed_at), row.record.label)))
        offered.append(CompletionItem(str(row.record.id), help=words.name(told)))
    return [item for item in offered if item.value.startswith(incomplete)]


def trees(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the site's trees."""
    from click.shell_completion import CompletionItem

    try:
        names = ctx.obj.site().trees
    except (TreeswapError, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
