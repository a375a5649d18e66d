"""What every verb of a site stands on: finding it, making it, its locks, recovery, and how errors are told."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from treeswap import durable, hold, places, switch
from treeswap.commands import Runner, run
from treeswap.errors import (
    Damaged,
    Failed,
    NoSpace,
    NoSuchRelease,
    PlaceRefused,
    TreeswapError,
    Unsettled,
)
from treeswap.ground import Ground
from treeswap.journal import Journal
from treeswap.layout import Layout
from treeswap.lock import Lock
from treeswap.outcomes import Event, Listener, silent
from treeswap.records import Records
from treeswap.release import Record, Release, ReleaseId, Settings, Tree, Version
from treeswap.sitefile import SiteFile, find_site, read_site, write_site

from . import naming

if TYPE_CHECKING:
    from treeswap.processes import ProcessManager

Excluded = Callable[[str, bool], bool]
Excluding = Callable[[Sequence[str]], Excluded]
Managers = Callable[[str, str, Path], "ProcessManager"]
"""(kind, the site's name, SITE) -> what runs its processes."""

_SWITCH_WAIT = 30.0
"""Seconds for which a change waits for `switch.lock`, which others hold for moments only where there are no
processes."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def who() -> str:
    """The user and host that changes are signed with."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"{user}@{os.uname().nodename}"


class Core:
    """A site's directory, opened or about to be made."""

    def __init__(
        self,
        root: Path,
        *,
        listener: Listener = silent,
        lock_wait: float = 0.0,
        by: str | None = None,
        excluding: Excluding | None = None,
        clock: Callable[[], datetime] = utc_now,
        runner: Runner = run,
        managers: Managers | None = None,
    ) -> None:
        self.layout = Layout(root)
        self.listener = listener
        self.lock_wait = lock_wait
        self.by = by or who()
        self.clock = clock
        self.runner = runner
        self.excluding = excluding
        self._managers = managers
        self._known_managers: dict[tuple[str, str], ProcessManager] = {}
        with refusing():
            self.load()

    def load(self) -> None:
        """Reads site.json, or imagines the one that a site to be made will have."""
        found = find_site(self.layout)
        self.exists = found is not None
        site = found or SiteFile(os.urandom(16).hex(), self.layout.root.name)
        shared = self._is_shared()
        self.ground = Ground(
            self.layout,
            site,
            Records(self.layout, manifest_mode=0o640 if shared else 0o600, directory_mode=0o2775 if shared else 0o755),
            Journal(self.layout.journal, by=self.by, clock=self.clock, mode=0o664 if shared else 0o644),
            self.clock,
        )

    @property
    def root(self) -> Path:
        return self.layout.root

    @property
    def name(self) -> str:
        return self.ground.site.name

    @property
    def trees(self) -> Mapping[str, Tree]:
        return self.ground.site.trees

    @property
    def settings(self) -> Settings:
        return self.ground.site.settings

    def manager(self, kind: str) -> ProcessManager:
        """What runs this site's processes: of this kind, or `auto`, what works here. `Failed` or `ConfigError`."""
        from treeswap import processes  # most sites have none

        kind = processes.detect() if kind == processes.AUTO else kind
        known = kind, self.name  # a site that is being made has another name before
        if known not in self._known_managers:
            self._known_managers[known] = (self._managers or processes.manager)(kind, self.name, self.root)
        return self._known_managers[known]

    # ------------------------------------------------------------ making and unmaking SITE

    def make(self, site: SiteFile, made: list[Path]) -> None:
        """Makes SITE without its site.json, traversable whatever the umask, and adds to `made` what was not there, the
        innermost first, to be taken away again if the first deploy fails."""
        layout = self.layout
        wanted = {
            layout.root: 0o755,
            layout.private: 0o711,
            layout.releases: 0o755,
            layout.trees: 0o755,
            layout.runs: 0o755,
            layout.shared: 0o755,
            layout.records: 0o755,
            layout.manifests: 0o755,
            layout.leases: 0o755,
            layout.logs: 0o700,
            layout.cache: 0o700,
        }
        made += [here for here in layout.root.parents if not here.exists()]
        durable.make_directories_durably(layout.root.parent, 0o755)
        for path, mode in wanted.items():
            if not path.exists():
                made.insert(0, path)
            durable.make_directory(path, mode)
            self.share(path, mode, site.settings)
        for path in (layout.root.parent, layout.root, layout.private):
            durable.fsync_directory(path)

    @staticmethod
    def share(path: Path, mode: int, settings: Settings) -> None:
        """Gives a directory that was made to the group that may change the site, if there is one."""
        if settings.group is None:
            return
        import grp

        os.chown(path, -1, grp.getgrnam(settings.group).gr_gid)
        os.chmod(path, mode | 0o2070)

    def _is_shared(self) -> bool:
        """Whether a group may change the site. The directory tells before there is a site.json."""
        try:
            return bool(self.layout.private.stat().st_mode & stat.S_IWGRP)
        except OSError:
            return False

    def write_site(self, site: SiteFile) -> None:
        write_site(self.layout, site)
        self.ground.site = site
        self.exists = True

    # ------------------------------------------------------------ locks

    @contextmanager
    def changing(self, doing: str) -> Iterator[list[str]]:
        """Holds `deploy.lock`, after bringing the site to rest; gives what recovery did, in sentences."""
        from treeswap import recovery

        from . import tending

        hold.refuse(self.layout)
        with self._lock(self.layout.deploy_lock, doing, self.lock_wait):
            with self.switching(doing) as notes:
                # Also where site.json is not there yet: a first deploy may have died while it wrote it.
                notes += self._noted(recovery.sweep(self.ground).notes)
            notes += self._noted(tending.settle(self)) if self.exists else []
            yield notes

    @contextmanager
    def switching(self, doing: str) -> Iterator[list[str]]:
        """Holds `switch.lock`, after settling what an interrupted change left open. Sweeps nothing."""
        from treeswap import recovery

        # Others hold it while processes start and end, too.
        longest = max((it.deploy_timeout + it.drain_timeout for it in self.settings.processes), default=0.0)
        with self._lock(self.layout.switch_lock, doing, max(self.lock_wait, _SWITCH_WAIT + longest)):
            hold.refuse(self.layout)
            self.load()
            yield self._noted(recovery.settle(self.ground).notes) if self.exists else []

    def alone(self, doing: str) -> Lock:
        """`deploy.lock`, if it can be had at once, and nothing else: `Locked`."""
        return self._lock(self.layout.deploy_lock, doing, 0.0)

    def _lock(self, path: Path, doing: str, wait: float) -> Lock:
        mode = 0o660 if self._is_shared() else 0o600
        return Lock.take(path, doing=doing, by=self.by, clock=self.clock, wait=wait, mode=mode)

    def _noted(self, notes: list[str]) -> list[str]:
        for note in notes:
            self.tell("recover", note=note)
        return notes

    # ------------------------------------------------------------ telling

    def tell(self, step: str, *, tree: str | None = None, note: str | None = None, warning: bool = False) -> None:
        self.listener(Event(step, tree=tree, note=note, warning=warning))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Lets no bare `OSError` out, and adds to each error which release is current now."""
        try:
            yield
        except TreeswapError as error:
            error.current = error.current or self._current_or_none()
            raise
        except OSError as error:
            told = failure(error)
            told.current = self._current_or_none()
            raise told from error

    def _current_or_none(self) -> ReleaseId | None:
        try:
            return self.ground.current()
        except TreeswapError:
            return None

    # ------------------------------------------------------------ releases

    def require(self) -> None:
        if not self.exists:
            read_site(self.layout)

    def release_of(self, record: Record) -> Release:
        dirs = {name: self.layout.version(version) for name, version in record.versions.items()}
        return Release(record, self.layout.release(record.id), dirs)

    def current_record(self) -> Record | None:
        """The record of the release being served; None where none is."""
        id = self.ground.current()
        if id is None:
            return None
        try:
            record = self.ground.records.find(id)
        except Damaged as error:
            raise _of_current(error)
        if record is not None:
            return record
        if self.ground.current() != id:
            return self.current_record()  # another was switched to, and this one removed
        raise Unsettled(
            f"current names {id}, which has no record",
            hint="`treeswap releases` lists those that exist; `treeswap switch ID` goes to one",
        )

    def readable(self) -> tuple[ReleaseId | None, dict[ReleaseId, Record], dict[ReleaseId, Damaged]]:
        """What is current, the records, its own among them, and what is wrong with others, all at one moment: also
        where somebody else switches and removes meanwhile."""
        while True:
            current = self.ground.current()
            records, damaged = self.ground.records.readable()
            if self.ground.current() == current:
                return current, records, damaged

    def current_and_releases(self) -> tuple[ReleaseId | None, dict[ReleaseId, Record]]:
        """What is current, and the records, oldest first. One that cannot be read is warned of: it must not stand
        between a person and the other releases."""
        current, records, damaged = self.readable()
        for error in damaged.values():
            self.tell("records", note=f"{error.message}; {error.hint}", warning=True)
        return current, records

    def releases_there(self) -> dict[ReleaseId, Record]:
        """The records alone, in the same way."""
        return self.current_and_releases()[1]

    def find_release(self, token: str) -> Record:
        """The release that an id, a unique prefix, `current`, `previous`, a label or a revision names."""
        self.require()
        current, records, damaged = self.readable()
        if token not in naming.ROLES:
            return naming.named(token, records, damaged)
        if token == "current" and current in damaged:
            raise _of_current(damaged[current])
        id = current if token == "current" else self.ground.history().previous(current, records)
        if id is None or id not in records:
            raise NoSuchRelease(f"there is no {token} release", hint="`treeswap releases` lists those that exist")
        return records[id]

    def served_trees(self, current: ReleaseId, record: Record | None) -> frozenset[str]:
        """The names of the trees that the current release has: where its record cannot tell, its links do."""
        if record is not None:
            return frozenset(record.versions)
        links = self.layout.release(current)
        return frozenset(name for name in self.trees if os.path.lexists(links / name))

    def reserve(self, count: int) -> list[ReleaseId]:
        """New ids, larger than any before. Under `switch.lock`."""
        return self.ground.journal.reserve(count, max(self.ground.records.ids(), default=None))

    def heal_public_links(self, record: Record | None) -> list[Path]:
        """Makes those missing public links again that lead into this release, and gives them. Where a filesystem is
        not mounted, its mount point is left alone."""
        served = [tree for tree in self.trees.values() if record is not None and tree.name in record.versions]
        return switch.put_public_links(self.layout, [tree for tree in served if self._is_at_home(tree)])

    # ------------------------------------------------------------ trees_dirs

    def check_homes(self, versions: Mapping[str, Version]) -> None:
        """That the filesystems which hold these versions are mounted."""
        for version in versions.values():
            if version.trees_dir is not None:
                places.check_trees_dir(version.trees_dir, self.ground.site.id)

    def _is_at_home(self, tree: Tree) -> bool:
        try:
            if tree.trees_dir is not None:
                places.check_trees_dir(tree.trees_dir, self.ground.site.id)
            return True
        except PlaceRefused:
            return False


@contextmanager
def refusing() -> Iterator[None]:
    """Lets no bare `OSError` out, where there is no site to tell about yet."""
    try:
        yield
    except OSError as error:
        raise failure(error) from error


def failure(error: OSError) -> Failed:
    """What the system said, as a failure before the switch."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "the disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"no space left for {where}", hint="free some, or `treeswap prune`", cause=error)
    return Failed(f"{where} could not be used", cause=error)


def _of_current(error: Damaged) -> Damaged:
    """The damage of the current release's record, with the way out that there is then."""
    error.hint = f"go to another release with `treeswap rollback` or `treeswap switch ID`; or {error.hint}"
    return error


def with_settings(site: SiteFile, trees: Mapping[str, Tree], settings: Settings | None, name: str | None) -> SiteFile:
    """site.json after a request: its trees join or are redefined, its settings replace the old."""
    return replace(site, trees={**site.trees, **trees}, settings=settings or site.settings, name=name or site.name)
