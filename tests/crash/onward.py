"""After a crash: the next command of any kind works without help, and the next change clears every leftover."""

from __future__ import annotations

from . import judging, oracle
from .oracle import Broken, Shown
from .scenes import TREES, Scene, World

NEXT = ("recover", "copy", "again", "rollback", "switch", "prune", "unadopt", "stage")
"""The commands that are tried, by turns."""

_CONSENTS = ("--adopt", "--add", "--leave-strays")
_SAID = ("cleared ", "interrupted", "took back", "finished", "removed the unused", "noted that")
"""Words of which a change that found something interrupted has one."""


def goes_on(scene: Scene, world: World, words: tuple[str, ...], kind: str) -> None:
    """Gives the command of this kind, and judges what comes of it. `words` is the command that was interrupted."""
    site, run = world.site, world.program.run
    now, existed, left = oracle.shown(site), site.exists, oracle.leftovers(site)
    next_words = _words(scene, world, words, kind)
    if next_words is None:
        return
    answer = run(*next_words)
    sweeps = next_words[0] not in ("rollback", "switch")
    if answer.code not in _fine(scene, world, kind, next_words, existed) or "Traceback" in answer.err:
        raise Broken("a command after a crash works without help", str(answer))
    if left and existed and sweeps and not any(said in answer.err for said in _SAID):
        raise Broken("the next change says what was interrupted", f"{', '.join(left)} was left; {answer}")
    oracle.whole_release(site, _allowed(scene, world, kind, now))
    if not site.exists:
        return
    if not sweeps:
        oracle.verified(site, run)
        recovered = run(*world.on_site("recover"))
        if recovered.code != 0:
            raise Broken("a command after a crash works without help", str(recovered))
    oracle.rests(site, run)
    world.rests()
    if world.deploys_after:
        answer = run(*world.configured("deploy", "9", *_CONSENTS))
        if answer.code != 0:
            raise Broken("a deploy after a crash works without help", str(answer))
        oracle.whole_release(site, {"the new one": scene.shows(dict.fromkeys(TREES, "9"))})
        world.rests()


def _words(scene: Scene, world: World, words: tuple[str, ...], kind: str) -> tuple[str, ...] | None:
    match kind:
        case "copy":
            more = [flag for flag in scene.flags if flag not in _CONSENTS]
            return world.copy("9", more=(*_CONSENTS, *more))
        case "again":
            return words
        case "stage":
            return world.configured("stage", "9", *_CONSENTS)
        case "prune":
            return world.on_site("prune", "--keep", "1", "--grace", "0")
        case "switch":
            others = sorted(set(world.site.records()) - {world.site.current})
            return world.on_site("switch", others[-1], "--adopt", "--leave-strays") if others else None
    return world.on_site(kind)


def _fine(scene: Scene, world: World, kind: str, words: tuple[str, ...], existed: bool) -> set[int]:
    """The exit codes by which it may end."""
    fine = {0} if existed or kind in ("copy", "again", "stage") else {10}
    if kind == "again" and not scene.repeats:
        fine |= {2, 10, 15}
    if kind == "rollback":
        fine.add(15)
    if kind == "unadopt" or (kind == "switch" and words[1] not in world.site.records()):
        fine.add(2)  # no tree is left, or an adoption that had not begun was taken back
    return fine


def _allowed(scene: Scene, world: World, kind: str, now: Shown) -> dict[str, Shown]:
    if kind == "copy":
        return {"the new one": scene.shows(dict.fromkeys(TREES, "9"))}
    if kind in ("recover", "prune", "unadopt", "stage"):
        return {"the same": now}
    if kind == "again" and scene.repeats:
        return {"after": judging.allowed(scene)["after"]}
    releases: dict[str, Shown] = {"the same": now}
    for id in world.site.records():
        links = {tree: world.site.root / "releases" / id / tree for tree in TREES}
        releases[id] = {t: oracle.seen(link) if link.is_symlink() else now[t] for t, link in links.items()}
    return releases
