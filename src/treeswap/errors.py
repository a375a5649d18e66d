"""Every refusal of treeswap: what happened, the way out, and the exit code.

    TreeswapError                     1   a bug, when it is raised as itself
    ├── UsageError                    2   the words given are wrong: arguments, configuration, ids
    │   ├── ConfigError               2   treeswap.toml cannot be used
    │   ├── NoSuchRelease             2   an id, label or revision names no release, or several
    │   └── ConsentNeeded             2   a person has to agree first
    ├── NotASite                     10   there is no site where one was looked for
    ├── Locked                       11   another process is changing the site
    │   └── Held                     11   a person has put a hold on the site
    ├── Failed                       12   nothing was switched
    │   ├── SourceRefused            12   a source cannot be read, or holds what cannot be released
    │   ├── DestinationRefused       12   a public path cannot be taken
    │   ├── PlaceRefused             12   SITE or a trees_dir is at a place where it must not be
    │   ├── NoSpace                  12   too few bytes or inodes
    │   ├── StraysFound              12   files that a switch would take out of view
    │   ├── Damaged                  12   a file of treeswap's own cannot be understood
    │   ├── NewerFormat              12   the site was made by a newer treeswap
    │   ├── Unsettled                12   the site is in the middle of a change that only `recover` can end
    │   └── Overtaken                12   current changed while the deploy ran
    ├── SwitchedBack                 13   the new release did not confirm; the old one is current
    ├── NothingToRollBackTo          15   no earlier good release
    ├── VerificationFailed           16   a release is not what was sealed
    └── LaterStepFailed              17   the new release is current, something after the switch failed

A class exists where a caller would act differently; its name is the event. The exit code is the class's, so that it
cannot disagree with the message.
"""

from __future__ import annotations


class TreeswapError(Exception):
    """A refusal or a failure, told in parts.

    `message` states the fact, `hint` the way out (what to type), `cause` the system's own words; `current` is filled in
    by whoever knows which release is being served when the error leaves the site, `migrated` by who has run migrations
    before it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, cause: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cause = None if cause is None else str(cause)
        self.current: str | None = None
        self.migrated: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The event's name for machines: `NoSpace` is `no-space`."""
        name = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")


class UsageError(TreeswapError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class NoSuchRelease(UsageError):
    pass


class ConsentNeeded(UsageError):
    """`flags` are the options by which a person agrees."""

    def __init__(self, message: str, *, flags: tuple[str, ...], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.flags = flags


class NotASite(TreeswapError):
    exit_code = 10


class Locked(TreeswapError):
    exit_code = 11


class Held(Locked):
    pass


class Failed(TreeswapError):
    exit_code = 12


class SourceRefused(Failed):
    pass


class DestinationRefused(Failed):
    pass


class PlaceRefused(Failed):
    pass


class NoSpace(Failed):
    pass


class StraysFound(Failed):
    pass


class Damaged(Failed):
    pass


class NewerFormat(Failed):
    pass


class Unsettled(Failed):
    pass


class Overtaken(Failed):
    pass


class SwitchedBack(TreeswapError):
    exit_code = 13


class NothingToRollBackTo(TreeswapError):
    exit_code = 15


class VerificationFailed(TreeswapError):
    exit_code = 16


class LaterStepFailed(TreeswapError):
    exit_code = 17


class Interrupted(BaseException):
    """A signal asked the program to end. Not an `Exception`, so that nothing on the way out takes it for a failure."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.migrated: tuple[str, ...] = ()


def listed(names: list[str], limit: int = 10) -> str:
    """The first `limit` names, one an indented line, and how many more there are."""
    lines = [f"  {name}" for name in names[:limit]]
    if len(names) > limit:
        lines.append(f"  … and {len(names) - limit} more")
    return "\n".join(lines)
