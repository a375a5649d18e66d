"""What may become of a site: each change a function from a site to a `Change`, or to `Refused`.

A change knows every site at which it may be found if it is killed on its way; the last one is what it comes to. Ids are
the program's to choose: a change is given those that it made, oldest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from .model import SHARED, Files, Refused, Release, Site, Version

NOT_MADE = "99999999999999"
"""The id of a release that the program has not made."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a command does to a site. `through` are the sites at which a kill may leave it, the last its end. `trees`
    are what the command says of them, `release` what is current or was sealed."""

    through: Sequence[Site]
    changed: bool
    release: str | None = None
    trees: Mapping[str, str] | None = None

    @property
    def end(self) -> Site:
        return self.through[-1]


# ---------------------------------------------------------------- deploys


@dataclass(frozen=True, slots=True)
class Wish:
    """What a deploy asks for: the content of some trees' sources, and what its flags say. None for a source: the tree
    is to be adopted as it is."""

    sources: Mapping[str, Files | None]
    share: bool = False
    force: bool = False
    add: bool = False
    adopt: bool = False
    leave_strays: bool = False
    label: str | None = None
    keep: int | None = None
    grace: float | None = None


def deploy(site: Site, wish: Wish, made: Sequence[str], *, switches: bool = True) -> Change:
    """`copy` and `deploy`; with `switches=False` `stage`; with nothing but None for sources `adopt`."""
    site = begun(site, makes=True, sweeps=True)
    asked = with_what_is_asked(site, wish)
    now = site.now
    adopting = [tree for tree in wish.sources if tree in site.live]
    _check_places(site, wish)
    moving = _shared_now(site, asked, wish, adopting)
    _consent(site, asked, wish, adopting)
    only_adopts = all(source is None for source in wish.sources.values())
    new = {}
    for tree, source in wish.sources.items():
        old = now.versions.get(tree) if now else None
        if source is None:
            continue
        wanted = {**source, **(SHARED if asked.trees[tree] else {})}
        if old is None or old.adopted or old.files != wanted:
            new[tree] = wanted
    shown = [tree for tree in new if now and tree in now.versions and tree in site.trees and tree not in adopting]
    leaving = [now.versions[tree] for tree in shown if now]
    if not wish.leave_strays and any(site.has_strays(version, asked.trees) for version in leaving):
        raise Refused(12, "strays-found")
    told = {tree: "new" if tree in new else "kept" for tree in asked.trees}
    if (only_adopts and not adopting) or not (new or adopting or wish.force or now is None):
        return Change([site, _linked(asked)], False, site.current, told)

    through = [site, asked]
    through.append(with_shared := _with_uploads(asked, wish, moving))
    id, adopted = ([NOT_MADE, NOT_MADE, *made][-1], [NOT_MADE, NOT_MADE, *made][-2 if not only_adopts else -1])
    if only_adopts:
        through.append(_adopted(with_shared, adopting, adopted))
        return Change(through, True, adopted, told)
    sealed = _sealed(with_shared, wish, new, id, adopted if adopting else None)
    through.append(sealed)
    if not switches:
        return Change(through, True, id, told)
    if adopting:
        through.append(_adopted(sealed, adopting, adopted))
    through.append(switched := _switched(through[-1], id))
    through += _pruned(switched, switched.keep, switched.grace)
    return Change(through, True, id, told)


def begun(site: Site, *, makes: bool = False, sweeps: bool = False) -> Site:
    """What every change does first: a hold refuses it, and a link that was moved by hand is taken note of. Unused
    public links go; one that `sweeps` also forgets trees whose way back into the site broke off."""
    if not site.exists and not makes:
        raise Refused(10, "not-a-site")
    if site.hold:
        raise Refused(11, "held")
    site = site.settled()
    site = replace(site, links=frozenset(tree for tree in site.links if site.now and tree in site.now.versions))
    came = {tree: s for tree, s in site.trees.items() if not sweeps or tree in site.links or _was_brought(site, tree)}
    return replace(site, trees=came)


def _was_brought(site: Site, tree: str) -> bool:
    """Whether a tree never left, or a release brought it again."""
    left = site.gone.get(tree)
    return left is None or any(tree in release.versions and id > left for id, release in site.releases.items())


def with_what_is_asked(site: Site, wish: Wish) -> Site:
    """The site as it will be: with the trees, the shared paths and the settings that a deploy names."""
    named = {tree: site.trees.get(tree, False) or (wish.share and tree == "media") for tree in wish.sources}
    return replace(
        site,
        exists=True,
        trees={**site.trees, **named},
        keep=site.keep if wish.keep is None else wish.keep,
        grace=site.grace if wish.grace is None else wish.grace,
    )


def _check_places(site: Site, wish: Wish) -> None:
    served = site.now.versions if site.now else {}
    if any(tree in site.live and tree in served for tree in site.trees.keys() - wish.sources.keys()):
        raise Refused(12, "destination-refused")
    for tree, source in wish.sources.items():
        if source is None and tree not in site.live and tree not in served:
            raise Refused(2, "usage-error")


def _shared_now(site: Site, asked: Site, wish: Wish, adopting: Sequence[str]) -> dict[str, Files]:
    """What `uploads/` hold, where a deploy makes them shared that are served from elsewhere now."""
    shared = [tree for tree in wish.sources if asked.trees[tree]]
    moving = {}
    for tree in shared:
        if tree in adopting and (inside := _inside(site.live[tree])):
            if tree in site.uploads:
                raise Refused(12, "destination-refused")
            moving[tree] = inside
    served = site.now.versions if site.now else {}
    coming = [
        served[tree] for tree in shared if tree in served and tree not in adopting and wish.sources[tree] is not None
    ]
    return {**moving, **_coming(site, coming, leave_strays=wish.leave_strays)}


def _coming(site: Site, leaving: Sequence[Version], *, leave_strays: bool) -> dict[str, Files]:
    """What is copied to shared directories from these versions, which go out of view."""
    both = {version.tree: site.not_shared(version) for version in leaving}
    if not leave_strays and any(apart for _, apart in both.values()):
        raise Refused(12, "strays-found")
    return {tree: copied for tree, (copied, _) in both.items() if copied}


def _inside(files: Files) -> dict[str, bytes]:
    return {path.removeprefix("uploads/"): data for path, data in files.items() if path.startswith("uploads/")}


def _consent(site: Site, asked: Site, wish: Wish, adopting: Sequence[str]) -> None:
    joining = site.now is not None and asked.trees.keys() != site.trees.keys()
    if (adopting and not wish.adopt) or (joining and not wish.add):
        raise Refused(2, "consent-needed")


def _with_uploads(site: Site, wish: Wish, moving: Mapping[str, Files]) -> Site:
    """Shared directories are made, or copied out of what is served; out of a live directory they are moved later."""
    site = _brought(site, {tree: files for tree, files in moving.items() if tree not in site.live})
    made = [tree for tree in wish.sources if site.trees[tree] and not (tree in site.live and tree in moving)]
    return replace(site, uploads={**{tree: {} for tree in made}, **site.uploads})


def _brought(site: Site, copies: Mapping[str, Files]) -> Site:
    copied = {tree: len(site.served) for tree in copies if tree not in site.uploads}
    uploads = {tree: {**site.uploads.get(tree, {}), **files} for tree, files in copies.items()}
    return replace(site, uploads={**site.uploads, **uploads}, copied={**site.copied, **copied})


def _sealed(site: Site, wish: Wish, new: Mapping[str, Files], id: str, adopts: str | None) -> Site:
    """A release of the new versions, and the current ones of the other trees."""
    now = site.now
    kept = {tree: v for tree, v in now.versions.items() if tree in site.trees} if now else {}
    brought = {tree: Version(tree, id, files) for tree, files in new.items()}
    repeats = now.stands_for if now and not new and not adopts else None
    release = Release(id, {**kept, **brought}, "deployed", wish.label, repeats, adopts)
    return replace(site, releases={**site.releases, id: release})


def _adopted(site: Site, adopting: Sequence[str], id: str) -> Site:
    """The live directories are the versions of a release that is current; their shared directories are outside."""
    versions = {t: v for t, v in site.now.versions.items() if t in site.trees} if site.now else {}
    uploads = dict(site.uploads)
    for tree in adopting:
        files = dict(site.live[tree])
        inside = {path: data for path, data in files.items() if path.startswith("uploads/")}
        if site.trees[tree] and inside:
            uploads[tree] = {path.removeprefix("uploads/"): data for path, data in inside.items()}
            files = {path: data for path, data in files.items() if path not in inside} | SHARED
        versions[tree] = Version(tree, id, files, adopted=True)
    release = Release(id, versions, "adopted")
    live = {tree: files for tree, files in site.live.items() if tree not in adopting}
    site = replace(site, releases={**site.releases, id: release}, live=live, uploads=uploads)
    site = replace(site, current=id, links=site.links | set(adopting))
    return site.settled()


def _switched(site: Site, id: str, bad: Collection[str] = ()) -> Site:
    """One rename; whatever is switched to is good again."""
    site = replace(site, current=id).settled()
    good = site.releases[id].stands_for
    return _linked(replace(site, bad=(site.bad | set(bad)) - {good}))


def _linked(site: Site) -> Site:
    """Public paths that are missing are made, for the trees that are served."""
    served = [tree for tree in site.trees if site.now and tree in site.now.versions and tree not in site.live]
    return replace(site, links=site.links | set(served))


# ---------------------------------------------------------------- going to what is there


def switch(site: Site, token: str, made: Sequence[str], *, adopt: bool = False, leave_strays: bool = False) -> Change:
    site = begun(site)
    target, now = site.find(token), site.now
    if now is not None and target.id == now.id:
        return Change([site, _linked(site)], False, target.id)
    live = [tree for tree in site.trees if tree in target.versions and tree in site.live]
    if live and not adopt:
        raise Refused(2, "consent-needed")
    leaving = [v for tree, v in (now.versions.items() if now else ()) if tree in site.trees and tree not in live]
    leaving = [v for v in leaving if target.versions.get(v.tree, v) != v]
    links = {tree: "uploads" in version.files for tree, version in target.versions.items()}
    if not leave_strays and any(site.has_strays(version, links) for version in leaving):
        raise Refused(12, "strays-found")
    coming = _coming(site, [version for version in leaving if links[version.tree]], leave_strays=leave_strays)
    through = [site, site := _brought(site, coming)]
    if live:
        reserved = target.adopts if target.adopts not in (NOT_MADE, *site.releases) else None
        id, *made = (reserved, *made) if reserved and reserved not in made else [*made, NOT_MADE]
        through.append(_adopted(site, live, id or NOT_MADE))
    return _gone(through, target, made, ())


def rollback(site: Site, token: str | None, made: Sequence[str]) -> Change:
    """Marks bad whatever was served and is later than where it goes."""
    site = begun(site)
    now = site.now
    if now is None:
        raise Refused(15, "nothing-to-roll-back-to")
    target = site.rollback_to if token is None else site.find(token)
    if target is None:
        raise Refused(15, "nothing-to-roll-back-to")
    if target.stands_for >= now.stands_for:
        raise Refused(2, "usage-error")
    served = {site.releases[id].stands_for if id in site.releases else id for id in site.served}
    return _gone([site], target, made, {id for id in served if id > target.stands_for})


def _gone(through: list[Site], target: Release, made: Sequence[str], bad: Collection[str]) -> Change:
    """Where the target lacks trees that are served, a new release of its versions and theirs is what is gone to."""
    site = through[-1]
    now = site.now
    missing = {
        tree: version
        for tree, version in (now.versions.items() if now else ())
        if tree in site.trees and tree not in target.versions
    }
    if missing:
        id = [*made, NOT_MADE][0]
        target = Release(id, {**target.versions, **missing}, "deployed", target.label, target.stands_for)
        through.append(site := replace(site, releases={**site.releases, id: target}))
    through.append(_switched(site, target.id, bad))
    told = {
        tree: "kept" if now and tree in now.versions and now.versions[tree].id == version.id else "new"
        for tree, version in target.versions.items()
    }
    return Change(through, True, target.id, told)


# ---------------------------------------------------------------- house-keeping


def prune(site: Site, tokens: Sequence[str], keep: int | None, grace: float | None) -> Change:
    site = begun(site, sweeps=True)
    named = {site.find(token).id for token in tokens}
    keep, grace = site.keep if keep is None else keep, site.grace if grace is None else grace
    reasons = site.reasons(keep, grace, named)
    if any(reasons[id] for id in named):
        raise Refused(2, "usage-error")
    through = [site, *_pruned(site, keep, grace, named)]
    return Change(through, len(through) > 1)


def _pruned(site: Site, keep: int, grace: float, named: Collection[str] = ()) -> Iterator[Site]:
    """Without some of what retention lets go; at last without all of it."""
    gone = [id for id, reason in site.reasons(keep, grace, named).items() if reason is None]
    for count in range(1, len(gone) + 1):
        for some in combinations(gone, count):
            releases = {id: release for id, release in site.releases.items() if id not in some}
            named_still = {(v.tree, v.id) for release in releases.values() for v in release.versions.values()}
            strays = {version: files for version, files in site.strays.items() if version in named_still}
            yield replace(site, releases=releases, strays=strays)


def unadopt(site: Site, name: str | None) -> Change:
    """The trees leave the site; where they were public are independent copies of what they showed."""
    site = begun(site, sweeps=True)
    if name not in (*site.trees, None) or not site.trees:
        raise Refused(2, "usage-error")
    gone = list(site.trees) if name is None else [name]
    given = {}
    for tree in gone:
        if site.now and tree in site.now.versions and tree in site.links:
            version = site.now.versions[tree]
            given[tree] = {**version.files, **site.strays_in(version)}
    trees = {tree: shared for tree, shared in site.trees.items() if tree not in gone}
    left = {**site.gone, **dict.fromkeys(given, max(site.releases, default=""))}
    end = replace(site, trees=trees, gone=left, live={**site.live, **given}, links=site.links - set(gone))
    return Change([site, end], True, site.current, dict.fromkeys(given, "left"))


def recover(site: Site) -> Change:
    site = begun(site, sweeps=True)
    return Change([site, _linked(site)], False)
