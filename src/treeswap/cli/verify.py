"""treeswap verify [ID]: is what was sealed still there?"""

from __future__ import annotations

import click

from treeswap.errors import VerificationFailed

from . import completing, words
from .command import LOOKS, verb
from .report import Answer
from .session import Session


@verb("verify", example="treeswap verify\ntreeswap verify current", exits=(*LOOKS, 16))
@click.argument("release", metavar="[ID]", required=False, shell_complete=completing.releases)
@click.pass_obj
def command(session: Session, /, release: str | None) -> Answer:
    """Read every file of a release, or of all, and compare it with what was sealed."""
    verified = session.site().verify(release)
    problems = verified.problems
    read = (
        f"{words.count(verified.versions, 'version')}, {words.count(verified.files, 'file')}, "
        f"{words.size(verified.bytes)} read"
    )
    fields: dict[str, object] = {
        "problems": [
            {"tree": p.tree, "version": p.version, "kind": p.kind, "path": p.path, "detail": p.detail} for p in problems
        ],
        "versions": verified.versions,
        "files": verified.files,
        "bytes": verified.bytes,
    }
    if not problems:
        return Answer(fields, text=f"{read}: no problems")
    rows = [[p.kind, p.tree or "-", p.version or "-", words.name(p.path or "-"), p.detail] for p in problems]
    error = VerificationFailed(
        f"{words.count(len(problems), 'problem')} in {read}",
        hint="a version that is damaged is not what was deployed: deploy again, or go to another release",
    )
    return Answer(fields, text=words.table(rows), error=error)
