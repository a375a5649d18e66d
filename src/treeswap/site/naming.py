"""Which release a person means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treeswap.errors import Damaged, NoSuchRelease
from treeswap.release import Record, ReleaseId

ROLES = ("current", "previous")
"""Names that say what a release is, not which."""


def named(token: str, records: Mapping[ReleaseId, Record], damaged: Mapping[ReleaseId, Damaged]) -> Record:
    """The release that an id, a unique prefix of one, a label or a revision names. `NoSuchRelease`, or the `Damaged` of
    the one whose record cannot be read."""
    if token in records:
        return records[ReleaseId(token)]
    found = [r.id for r in records.values() if token and (token in (r.label, r.revision) or r.id.startswith(token))]
    found = sorted(found + [id for id in damaged if token and id.startswith(token)])
    if len(found) == 1:
        if found[0] in damaged:
            raise damaged[found[0]]
        return records[found[0]]
    if not found:
        # It may be the label of one of those.
        unread = f"; the record of {', '.join(damaged)} cannot be read" if damaged else ""
        raise NoSuchRelease(f"there is no release {token!r}{unread}", hint="`treeswap releases` lists those that exist")
    if _is_one(found, records, token):
        return records[found[-1]]
    raise NoSuchRelease(
        f"{token!r} names {len(found)} releases: {', '.join(reversed(found[-5:]))}", hint="give more of the id"
    )


def _is_one(found: Sequence[ReleaseId], records: Mapping[ReleaseId, Record], token: str) -> bool:
    """Whether all of these have this label or revision, and stand for the same release: to go back across a changed set
    of trees, one is sealed that repeats another, label and all."""
    named = [records[id] for id in found if id in records and token in (records[id].label, records[id].revision)]
    return len(named) == len(found) and len({record.stands_for for record in named}) == 1
