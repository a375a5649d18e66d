"""A site on this machine, with every verb: the only room where the parts meet.

`Site.deploy` tells the story of a deploy; each of its steps is one call, in `deploying`. A verb's room is imported when
the verb is first used: `status`, which is typed often, needs few of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from treeswap import hold, places
from treeswap.errors import NotASite, UsageError
from treeswap.outcomes import HoldMark
from treeswap.release import Release, Settings, Tree
from treeswap.sitefile import SiteFile

from .core import Core, refusing, with_settings
from .request import Pair, Request

if TYPE_CHECKING:
    from treeswap.lease import Lease
    from treeswap.outcomes import (
        CommandLog,
        Difference,
        Finding,
        LogEntry,
        Outcome,
        Plan,
        Pruned,
        ReleaseRow,
        Status,
        Verified,
    )
    from treeswap.sources import Directory

    from .launching import Launch
    from .work import Work

__all__ = ["Pair", "Request", "Site"]


class Site(Core):
    """What is deployed together, in its directory SITE.

    Every verb raises a `TreeswapError` and nothing else; after one with exit code 12 or less, what was current is.
    `listener` gets an `Event` for each step; `lock_wait` is in seconds; `by` signs what is changed.
    """

    # ------------------------------------------------------------ finding and making a site

    @classmethod
    def open(cls, path: str | Path, **adapters: Any) -> Self:
        """The site that `path` belongs to: SITE, a public path, or anything in them. `NotASite` if there is none."""
        with refusing():
            root = places.site_of(Path(path))
        if root is None:
            raise NotASite(f"{path} is in no site", hint="make one with `treeswap copy` or `treeswap init`")
        return cls(root, **adapters)

    @classmethod
    def at(cls, root: str | Path, **adapters: Any) -> Self:
        """The site at SITE `root`, which may still have to be made."""
        return cls(Path(root).expanduser().resolve(), **adapters)

    @classmethod
    def for_copy(cls, pairs: Sequence[Pair], deploy_to: Path | None = None, **adapters: Any) -> Self:
        """The site that these public paths belong to, or will."""
        if not pairs:
            raise UsageError("no tree is named", hint="treeswap copy SRC:DEST")
        with refusing():
            root = places.site_for([places.resolved(pair.path) for pair in pairs], deploy_to)
        return cls(root, **adapters)

    @classmethod
    def create(
        cls,
        root: str | Path,
        *,
        name: str | None = None,
        trees: Mapping[str, Tree] | None = None,
        settings: Settings | None = None,
        **adapters: Any,
    ) -> Self:
        """Makes an empty site: no release, no public link yet. One that is there already is a `UsageError`."""
        site = cls.at(root, **adapters)
        if site.exists:
            raise UsageError(f"{site.root} is a site already", hint="`treeswap status` shows it")
        with site.telling():
            planned = site._planned(trees or {}, settings, name)
            site.make(planned, [])
            with site.changing("init"):
                site.write_site(planned)
        return site

    @classmethod
    def plan_create(
        cls,
        root: str | Path,
        *,
        trees: Mapping[str, Tree] | None = None,
        settings: Settings | None = None,
        **adapters: Any,
    ) -> Plan:
        """What `create` would do; touches nothing."""
        from treeswap.outcomes import Plan

        site = cls.at(root, **adapters)
        if site.exists:
            raise UsageError(f"{site.root} is a site already", hint="`treeswap status` shows it")
        site._planned(trees or {}, settings, None)
        return Plan((f"make the site {site.root}",), True, site.root)

    def _planned(self, trees: Mapping[str, Tree], settings: Settings | None, name: str | None) -> SiteFile:
        from . import asking

        complete = {key: asking.completed(self, tree) for key, tree in trees.items()}
        site = with_settings(self.ground.site, complete, settings, name)
        places.check_dests(self.layout, site.trees)
        places.check_site_is_free(self.layout)
        dests = [tree.path for tree in complete.values() if tree.path is not None]
        places.check_place(self.root, "the site's directory", dests, site.settings.group)
        return site

    def request_for(self, pairs: Sequence[Pair], **options: Any) -> Request:
        """What `copy` asks for: see `asking.request_for`."""
        from . import asking

        with self.telling():
            return asking.request_for(self, pairs, **options)

    def complete(self, tree: Tree) -> Tree:
        """A tree as configured, with its public path resolved and the place of its versions decided."""
        from . import asking

        with self.telling():
            return asking.completed(self, tree)

    # ------------------------------------------------------------ deploy

    def deploy(self, request: Request) -> Outcome:
        """Makes what is asked for current, as a whole or not at all.

        1. Check everything that can be refused beforehand.
        2. Stage a version of each tree that changed.
        3. Build: the site's own commands make the rest, in the stage.
        4. Seal: sync, manifests, record. From here on it is a release.
        5. Prepare: migrations that the old release tolerates; start its processes, and wait until they are healthy.
        6. Switch: adopt what is live, then one rename.
        7. Confirm: the site's own commands; ask what is served, and switch back if it is not the new release.
        8. Retire: end the processes of the release before; prune.
        """
        from .deploying import Deploy

        with self.telling(), Deploy(self, request, "deploy", answered=True) as deploy:
            if not deploy.check():  # 1
                return deploy.nothing_to_do()
            deploy.stage()  # 2
            if not deploy.build():  # 3
                return deploy.nothing_to_do()
            deploy.seal()  # 4
            deploy.prepare()  # 5
            deploy.switch()  # 6
            deploy.confirm()  # 7
            return deploy.retire()  # 8

    def stage_only(self, request: Request) -> Outcome:
        """The first half of a deploy: seals a release and does not switch to it."""
        from .deploying import Deploy

        with self.telling(), Deploy(self, request, "stage") as deploy:
            if not deploy.check():
                return deploy.nothing_to_do()
            deploy.stage()
            if not deploy.build():
                return deploy.nothing_to_do()
            deploy.seal()
            deploy.keep()
            return deploy.staged()

    def stage(self, sources: Mapping[str, str | Path | Directory], **flags: Any) -> Release:
        """Seals a release with new content for these trees of the site; the others keep their version. Where nothing
        differs from the current release, it is that one."""
        self.require()
        for name in sources:
            if name not in self.trees:
                raise UsageError(f"the site has no tree {name!r}", hint=f"it has: {', '.join(self.trees) or 'none'}")
        given = {name: Path(s) if isinstance(s, str) else s for name, s in sources.items()}
        trees = {name: self.trees[name] for name in sources}
        outcome = self.stage_only(Request(given, trees, adopt=True, **flags))
        record = self.ground.records.find(outcome.release) if outcome.release else None
        assert record is not None
        return self.release_of(record)

    def plan(self, request: Request) -> Plan:
        """What `deploy` would do; touches nothing."""
        from . import planning

        with self.telling():
            return planning.plan_of(self, self._looked(request))

    def plan_stage(self, request: Request) -> Plan:
        from . import planning

        with self.telling():
            return planning.plan_of(self, self._looked(request), switch=False)

    def _looked(self, request: Request) -> Work:
        from . import checking, straying

        work = checking.look(self, request)
        checking.check_moved(work)
        checking.check_space(self, work)
        if not request.leave_strays:
            straying.check_strays(self, work.leaving(), work.site.trees)
        return work

    # ------------------------------------------------------------ going to a release that is there

    def switch(
        self, release: Release | str, *, leave_strays: bool = False, force: bool = False, adopt: bool = False
    ) -> Outcome:
        """Makes a sealed release current."""
        from . import rolling

        self.require()
        with self.telling():
            return rolling.switch_to(self, _token(release), leave_strays=leave_strays, force=force, adopt=adopt)

    def plan_switch(self, release: Release | str) -> Plan:
        from . import rolling

        self.require()
        with self.telling():
            return rolling.plan_switch(self, _token(release))

    def rollback(self, release: Release | str | None = None, *, force: bool = False) -> Outcome:
        """Goes back to the newest earlier good release, or to the one named; marks bad what was served after it."""
        from . import rolling

        self.require()
        with self.telling():
            return rolling.rollback(self, _token(release) if release else None, force=force)

    def plan_rollback(self, release: Release | str | None = None) -> Plan:
        from . import rolling

        self.require()
        with self.telling():
            return rolling.plan_rollback(self, _token(release) if release else None)

    # ------------------------------------------------------------ live directories

    def adopt(self, request: Request) -> Outcome:
        """Makes live directories public paths of the site, their content its current release."""
        from .deploying import Deploy

        # What builds bring is not adopted, and what they write to is not made anew.
        request = replace(request, build=False)
        with self.telling(), Deploy(self, request, "adopt") as deploy:
            deploy.check()
            return deploy.adopt_only() if deploy.adopts else deploy.nothing_to_do()

    def plan_adopt(self, request: Request) -> Plan:
        from . import adopting

        with self.telling():
            return adopting.plan_adopt(self, replace(request, build=False))

    def unadopt(self, tree: str | None = None) -> Outcome:
        """Gives one tree, or all, back as plain directories; they leave the site."""
        from . import unadopting

        self.require()
        with self.telling():
            return unadopting.unadopt(self, tree)

    def plan_unadopt(self, tree: str | None = None) -> Plan:
        from . import unadopting

        self.require()
        with self.telling():
            return unadopting.plan_unadopt(self, tree)

    # ------------------------------------------------------------ house-keeping

    def prune(self, named: Sequence[str] = (), *, keep: int | None = None, grace: float | None = None) -> Pruned:
        """Removes what retention does not keep, and the named releases if nothing needs them."""
        from . import pruning

        self.require()
        with self.telling(), self.changing("prune"):
            return pruning.prune(self, named, keep=keep, grace=grace)

    def plan_prune(self, named: Sequence[str] = (), *, keep: int | None = None, grace: float | None = None) -> Pruned:
        from treeswap.outcomes import Pruned

        from . import pruning

        self.require()
        with self.telling():
            policy = pruning.policy_of(self, named, keep=keep, grace=grace)
            decisions = pruning.decide(self, policy)
            pruning.refuse_needed(decisions, policy)
            return Pruned(tuple(decisions), tuple(d.id for d in decisions if not d.keep))

    def recover(self) -> Outcome:
        """Brings the site to rest after an interrupted change, and makes missing public links again."""
        from treeswap.outcomes import Outcome

        self.require()
        with self.telling(), self.changing("recover") as notes:
            with self.switching("recover"):
                made = self.heal_public_links(self.current_record())
            notes += [f"made the missing public link {path} again" for path in made]
            return Outcome(bool(notes), self.ground.current(), notes=tuple(notes))

    def plan_recover(self) -> Plan:
        from treeswap.outcomes import Plan

        from . import standing, tending

        self.require()
        with self.telling():
            interrupted = standing.status(self).interrupted
            steps = (*filter(None, (interrupted,)), *tending.plan_settle(self))
            return Plan(steps or ("nothing: the site is at rest",), bool(steps))

    # ------------------------------------------------------------ hold

    def hold(self, why: str) -> None:
        """Refuses every change from here on, until `release_hold`."""
        self.require()
        with self.telling():
            hold.put(self.layout, HoldMark(why, self.by, self.clock()))

    def release_hold(self) -> bool:
        """Allows changes again; False where there was no hold."""
        self.require()
        with self.telling():
            return hold.end(self.layout)

    # ------------------------------------------------------------ maintenance

    def maintenance_on(
        self,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        as_release: bool = False,
        tree: str | None = None,
    ) -> Outcome:
        """Puts the maintenance page up, or another one in its place; or switches to a release in which `tree` (default:
        the first with a public path) holds nothing but the page. `retry_after` is in seconds."""
        from . import maintaining

        self.require()
        with self.telling():
            mark = maintaining.mark_of(self, message, retry_after)
            return maintaining.on(self, mark, as_release=as_release, tree=tree)

    def maintenance_off(self) -> Outcome:
        """Takes it down, whoever has put it up."""
        from . import maintaining

        self.require()
        with self.telling():
            return maintaining.off(self)

    def plan_maintenance(self, *, on: bool, as_release: bool = False, tree: str | None = None) -> Plan:
        from . import maintaining

        self.require()
        with self.telling():
            return maintaining.plan(self, on=on, as_release=as_release, tree=tree)

    # ------------------------------------------------------------ looking

    def status(self) -> Status:
        from . import standing

        with self.telling():
            return standing.status(self)

    def releases(self) -> tuple[ReleaseRow, ...]:
        """Every release, newest first."""
        from . import looking

        with self.telling():
            return looking.releases(self)

    def history(self) -> tuple[LogEntry, ...]:
        """What happened to the site, oldest first."""
        from . import looking

        with self.telling():
            return looking.history_of(self)

    def command_logs(self, release: str) -> tuple[CommandLog, ...]:
        """The kept output of a release's commands."""
        from . import looking

        with self.telling():
            return looking.command_logs(self, release)

    def diff(self, a: str | None = None, b: str | None = None) -> Difference:
        """What `b` (default: current) has that `a` (default: previous) has not."""
        from . import looking

        with self.telling():
            return looking.diff(self, a, b)

    def verify(self, release: str | None = None) -> Verified:
        """Compares one release, or all, byte by byte with what was sealed."""
        from . import verifying

        with self.telling():
            return verifying.verify(self, release)

    def check(self, request: Request | None = None) -> tuple[Finding, ...]:
        """Looks at everything that would stop the next change."""
        from . import inspecting

        with self.telling():
            return inspecting.check(self, request)

    def webserver(
        self,
        server: str,
        *,
        static: Mapping[str, str] | None = None,
        processes: Mapping[str, str] | None = None,
        host: str | None = None,
        port: int = 80,
        retry_after: int = 120,
    ) -> str:
        """A ready configuration of `nginx`, `apache` or `caddy` for the site: see `fronting.configuration`."""
        from . import fronting

        self.require()
        with self.telling():
            return fronting.configuration(
                self, server, static=static, processes=processes, host=host, port=port, retry_after=retry_after
            )

    # ------------------------------------------------------------ holding a release

    def lease(self, release: str | None = None) -> Lease:
        """A hold on a release (default: current) that ends with the last process that inherited it."""
        from . import pinning

        with self.telling():
            return pinning.take(self, release)

    def launch(self, process: str, *, release: str | None = None, instance: int = 1) -> Launch:
        """All that it takes to become a process of a release (default: current), which is held from here on."""
        from . import launching

        self.require()
        with self.telling():
            return launching.launch(self, release, process, instance)

    @contextmanager
    def pin(self, release: str | None = None) -> Iterator[Release]:
        """One release for a whole block: nobody can take it away until the block ends."""
        with self.lease(release) as held:
            yield held.release


def _token(release: Release | str) -> str:
    return release.id if isinstance(release, Release) else release
