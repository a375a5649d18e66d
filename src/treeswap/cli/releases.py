"""treeswap releases: what there is to go to, and why each stays."""

from __future__ import annotations

import click

from treeswap.outcomes import ReleaseRow

from . import words
from .command import LOOKS, verb
from .report import Answer
from .session import Session


@verb("releases", example="treeswap releases", exits=LOOKS)
@click.pass_obj
def command(session: Session) -> Answer:
    """List the releases, newest first, and why each is kept.

    Under NEW stand the trees whose version came with the release; it shares the versions of the others with an older
    one.
    """
    rows = session.site().releases()
    return Answer({"releases": [_fields(row) for row in rows]}, text=_text(rows))


def _fields(row: ReleaseRow) -> dict[str, object]:
    record = row.record
    return {
        "id": record.id,
        "state": row.state,
        "sealed_at": record.sealed_at,
        "by": record.by,
        "label": record.label,
        "revision": record.revision,
        "kind": record.kind,
        "repeats": record.repeats,
        "trees": {
            name: {
                "version": version.id,
                "dir": row.dirs.get(name),
                "files": version.files,
                "bytes": version.bytes,
                "digest": version.digest,
            }
            for name, version in record.versions.items()
        },
        "kept_because": row.kept_because,
    }


def _text(rows: tuple[ReleaseRow, ...]) -> str:
    if not rows:
        return "no releases yet"
    lines = [["ID", "STATE", "SEALED", "BY", "NEW", "LABEL", "KEPT BECAUSE"]]
    for row in rows:
        record = row.record
        new = [name for name, version in record.versions.items() if version.id == record.id]
        names = " ".join(filter(None, (record.label, record.revision)))
        lines.append(
            [
                record.id,
                row.state,
                words.when(record.sealed_at),
                words.name(record.by),
                " ".join(new) or "-",
                words.name(names) or "-",
                row.kept_because or "-",
            ]
        )
    return words.table(lines)
