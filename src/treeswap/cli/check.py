"""treeswap check: could a deploy go through?"""

from __future__ import annotations

import click

from treeswap import errors
from treeswap.outcomes import Finding

from . import words
from .command import LOOKS, verb
from .report import Answer
from .session import Session

VERDICTS = {True: "ok", False: "FAILED", None: "unknown"}


@verb("check", example="treeswap check", exits=(*LOOKS, 12))
@click.pass_obj
def command(session: Session) -> Answer:
    """Look whether a deploy could go through, without doing any of it.

    Permissions, public paths, space, strays, locks; with a treeswap.toml in reach also what it asks for. Web servers
    that run here and serve the site are looked at, too: what in their configuration breaks the promise is a warning.
    """
    config = session.reached_config()
    if config is not None:
        site = session.configured_site(config)
        findings = site.check(config.request())
    else:
        findings = session.site().check()
    fields = {
        "findings": [
            {"what": f.what, "ok": f.ok, "warning": f.warning, "detail": f.detail, "hint": f.hint} for f in findings
        ]
    }
    failed = [finding for finding in findings if finding.ok is False and not finding.warning]
    text = words.table([[_verdict(f), f.what, f.detail] for f in findings]) if findings else "nothing to look at"
    for hint in dict.fromkeys(f.hint for f in findings if f.hint and (f.warning or f.ok is None)):
        text += f"\nhint: {hint}"
    if not failed:
        return Answer(fields, text=text)
    error = errors.Failed(
        f"{len(failed)} of {words.count(len(findings), 'check')} failed",
        hint="\n      ".join(f.hint for f in failed if f.hint) or None,
    )
    return Answer(fields, text=text, error=error)


def _verdict(finding: Finding) -> str:
    return "WARNING" if finding.warning else VERDICTS[finding.ok]
