"""What must hold at once after a crash or an error, and that what a failed command told is what is on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import oracle
from .oracle import Answer, Broken, Seen, Shown, Site
from .scenes import TREES, Scene, content
from .strace import Call, changes

_PROMISE = "exit code, last line and disk agree with each other"


@dataclass(frozen=True, slots=True)
class Ends:
    """A scene before its command, and after it ran undisturbed."""

    scene: Scene
    kinds_before: Mapping[str, str]
    kinds_after: Mapping[str, str]
    records: frozenset[str]
    """What the command leaves alone."""

    @property
    def allowed(self) -> dict[str, Shown]:
        return allowed(self.scene)


def allowed(scene: Scene) -> dict[str, Shown]:
    """What the public paths may show, all of them together, whatever befell the command."""
    return {"before": scene.shows(scene.before), "after": scene.shows(scene.after)}


def kinds(site: Site) -> dict[str, str]:
    """What is at each public path."""
    found = {}
    for tree, path in site.public.items():
        found[tree] = "link" if path.is_symlink() else "directory" if path.is_dir() else "missing"
    return found


def at_once(ends: Ends, site: Site, sealed: oracle.Sealed) -> str:
    """What holds after a crash or an error at any point; gives which release is shown. `sealed` is as it was before."""
    state = oracle.whole_release(site, ends.allowed)
    oracle.whole_records(site, {tree: _ever(ends.scene, tree) for tree in TREES})
    oracle.unchanged_versions(sealed, oracle.sealed(site))
    if lost := ends.records - set(site.records()):
        raise Broken(6, f"{', '.join(sorted(lost))} is gone, which this command leaves alone otherwise")
    return state


def _ever(scene: Scene, tree: str) -> list[Seen | None]:
    """All that a version of a tree may hold."""
    found: list[Seen | None] = []
    for version in ("1", "2", "3", "9"):
        alone = content(tree, version)
        # Sealed, but not current: what is shared is taken out of the live directory just before the switch.
        found += [scene.seen(tree, version), alone, {**alone, "uploads": oracle.DANGLES}]
    return found


def agrees(ends: Ends, site: Site, case: str, call: Call | None, answer: Answer, state: str) -> None:
    """Exit code, last line and disk, after an error of the system: at `call`, where it was at one."""
    now, left = kinds(site), oracle.leftovers(site)
    told = f"{case} shows what was {state}; public paths {now}; left: {', '.join(left) or 'nothing'}; {answer}"
    moved = ends.scene.before != ends.scene.after
    adopts = "directory" in ends.kinds_before.values()
    _told_in_words(case, site, answer, told)
    match answer.code:
        case 0:
            goes_on = ends.scene.name.startswith("recover")
            if (moved and state != "after") or (now != ends.kinds_after and not goes_on):
                raise Broken(_PROMISE, told)
            # What is remembered of sources may be lost at any time; what could not be looked at is left in peace.
            looked = call is not None and not changes(call)
            if any("/cache/" not in path for path in left) and not _warned(answer) and not looked:
                raise Broken("what is left behind is said", told)
            if call is not None and call.name in ("fsync", "syncfs") and not case.endswith("EINTR"):
                _may_do_without(call, answer, told)
        case 17:
            if moved and state != "after":
                raise Broken(_PROMISE, told)
        case _:
            stuck = case.startswith("from:") and case.endswith(("EIO", "EROFS"))  # nothing can be taken away again
            if (moved and state != "before") or (now != ends.kinds_before and not adopts and not stuck):
                raise Broken(_PROMISE, told)
            if adopts and now != ends.kinds_before:
                # An adoption that could not be confirmed goes on with the next change.
                left = [path for path in left if path != ".treeswap/moving"]
            resists = case.startswith(("from:", "fail:unlink", "fail:rmdir")) or ends.scene.removes
            if left and not resists:
                raise Broken("a failure leaves nothing behind", told)
    if (case.endswith(":EINTR") or case == "short") and answer.code != 0:
        raise Broken("an interrupted call, or a short write, is no failure", told)


def _told_in_words(case: str, site: Site, answer: Answer, told: str) -> None:
    """Never a traceback; an `error:` exactly where it is one; and the last line names what the link does."""
    lines = answer.err.splitlines()
    # Which site it is, what its configuration says, or where a rollback would go could not be told.
    unreadable = answer.code in (2, 10, 15) and "cannot be read" in answer.err
    if "Traceback" in answer.err or (answer.code not in (0, 12, 17) and not unreadable):
        raise Broken("an error of the system is told as 12 or 17, or does no harm", told)
    if (answer.code == 0) == any(line.startswith("error:") for line in lines):
        raise Broken(_PROMISE, told)
    link = {site.current or "none"}
    if case.startswith("fail:readlink"):
        link.add("none")  # it may have been that very link which could not be read
    for line in lines:
        if line.startswith("current: ") and line.split()[1].rstrip(",") not in link:
            raise Broken(_PROMISE, told)


def _warned(answer: Answer) -> bool:
    return "warning" in answer.err or "could not clear" in answer.err


def _may_do_without(call: Call, answer: Answer, told: str) -> None:
    """Success although something was not made durable: only of what may be lost, or with a word about it."""
    if "/.treeswap/cache" not in call.text and not _warned(answer):
        raise Broken("exit code 0 means that the change is durable", f"{call.text} failed; {told}")
