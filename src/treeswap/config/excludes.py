"""Patterns as in .gitignore, by the library that knows their rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treeswap.errors import UsageError


def excluding(patterns: Sequence[str]) -> Callable[[str, bool], bool]:
    """Whether a path (relative to the tree) is left out; the second argument tells a directory from the rest."""
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise UsageError("an exclude pattern cannot be understood", hint="write them as in .gitignore", cause=error)

    def excluded(path: str, is_directory: bool) -> bool:
        # The library's expressions stop at a newline, which no pattern can contain, but a name can.
        name = path.replace("\n", "\0")
        return spec.match_file(name + "/" if is_directory else name)

    return excluded
