"""treeswap check: could a deploy go through?"""

from __future__ import annotations

import click

from treeswap import errors

from . import words
from .command import LOOKS, verb
from .report import Answer
from .session import Session

VERDICTS = {True: "ok", False: "FAILED", None: "unknown"}


@verb("check", example="treeswap check", exits=(*LOOKS, 12))
@click.pass_obj
def command(session: Session) -> Answer:
    """Look whether a deploy could go through, without doing any of it.

    Permissions, public paths, space, strays, locks; with a treeswap.toml in reach also what it asks for.
    """
    config = session.reached_config()
    if config is not None:
        site = session.configured_site(config)
        findings = site.check(config.request())
    else:
        findings = session.site().check()
    fields = {"findings": [{"what": f.what, "ok": f.ok, "detail": f.detail, "hint": f.hint} for f in findings]}
    failed = [finding for finding in findings if finding.ok is False]
    text = words.table([[VERDICTS[f.ok], f.what, f.detail] for f in findings]) if findings else "nothing to look at"
    if not failed:
        return Answer(fields, text=text)
    error = errors.Failed(
        f"{len(failed)} of {words.count(len(findings), 'check')} failed",
        hint="\n      ".join(f.hint for f in failed if f.hint) or None,
    )
    return Answer(fields, text=text, error=error)
