"""A site on a bench: small trees, deployed, broken and looked at in a few words.

    bench.tree("apps", {"a.py": "v1"}).deploy().shows("v1")
    bench.tree("apps", {"a.py": "v2"}).deploy(exits=12).shows("v1")

What a test asserts is judged by what find(1), readlink(2) and open(2) tell, never by what treeswap wrote down.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import pwd
import shutil
import stat
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest

import treeswap
from filesystems import Mounts
from treeswap import durable
from treeswap.errors import TreeswapError
from treeswap.outcomes import Outcome, Pruned
from treeswap.release import ReleaseId
from treeswap.site import Pair, Request

Content = Mapping[str, str | bytes | None]
"""Paths to what the files hold; None for an empty directory."""


class Clock:
    """The time of day, which tests set."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def forward(self, **by: float) -> None:
        self.offset += timedelta(**by)


class Bench:
    """One site and everything around it, below a directory of its own.

    `work/NAME` are the sources, `world/NAME` the public paths, `site` is SITE. `flags` are given to every deploy.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.world = root / "world"
        self.work = root / "work"
        self.site_root = root / "site"
        for directory in (self.world, self.work):
            directory.mkdir(exist_ok=True)
        self.clock = Clock()
        self.options: dict[str, Any] = {}
        self.error: TreeswapError | None = None
        self.outcome: Outcome | None = None
        self.pruned: Pruned | None = None
        self.paths: dict[str, Path] = {}
        self.lock_wait = 0.0

    # ------------------------------------------------------------ what there is to deploy

    def tree(self, name: str, content: Content, path: Path | None = None) -> Self:
        """The source of a tree holds exactly this from now on."""
        source = self.work / name
        if source.exists():
            shutil.rmtree(source)
        write_tree(source, content)
        self.paths[name] = path or self.paths.get(name, self.world / name)
        return self

    def version(self, text: str, *names: str) -> Self:
        """Every tree (or these) has one file in three that says `text`, and two that never change."""
        for name in names or ("apps", "conf", "media"):
            self.tree(name, {"f": text, "sub/g": text, "sub/constant": "c", "other": "o"})
        return self

    def live(self, name: str, content: Content) -> Self:
        """A plain directory where the tree's public path is to be."""
        write_tree(self.paths.get(name, self.world / name), content)
        return self

    # ------------------------------------------------------------ verbs

    @property
    def site(self) -> treeswap.Site:
        return treeswap.Site.at(self.site_root, clock=self.clock, lock_wait=self.lock_wait)

    def request(self, *names: str, **flags: Any) -> Request:
        pairs = [Pair(self.work / name, self.paths[name], name) for name in names or self.paths]
        return self.site.request_for(pairs, **{**self.options, **flags})

    def deploy(self, *names: str, exits: int = 0, **flags: Any) -> Self:
        return self._do(exits, lambda: self.site.deploy(self.request(*names, **flags)))

    def stage(self, *names: str, exits: int = 0, **flags: Any) -> Self:
        return self._do(exits, lambda: self.site.stage_only(self.request(*names, **flags)))

    def adopt(self, *names: str, exits: int = 0, **flags: Any) -> Self:
        pairs = [Pair(None, self.paths.setdefault(name, self.world / name), name) for name in names]
        return self._do(exits, lambda: self.site.adopt(self.site.request_for(pairs, adopt=True, **flags)))

    def switch(self, release: str, exits: int = 0, **flags: Any) -> Self:
        return self._do(exits, lambda: self.site.switch(release, **flags))

    def rollback(self, release: str | None = None, exits: int = 0, **flags: Any) -> Self:
        return self._do(exits, lambda: self.site.rollback(release, **flags))

    def unadopt(self, tree: str | None = None, exits: int = 0) -> Self:
        return self._do(exits, lambda: self.site.unadopt(tree))

    def prune(self, *named: str, exits: int = 0, **flags: Any) -> Self:
        return self._do(exits, lambda: self.site.prune(named, **flags))

    def recover(self, exits: int = 0) -> Self:
        return self._do(exits, lambda: self.site.recover())

    def _do(self, exits: int, act: Callable[[], Outcome | Pruned]) -> Self:
        self.error = self.outcome = self.pruned = None
        try:
            result = act()
        except TreeswapError as error:
            self.error = error
            if error.exit_code != exits:
                raise
            return self
        assert exits == 0, f"it was to exit with {exits}, and went well: {result}"
        if isinstance(result, Pruned):
            self.pruned = result
        else:
            self.outcome = result
        return self

    # ------------------------------------------------------------ what is asserted

    def shows(self, text: str | None = None, **trees: Content) -> Self:
        """Through the public paths every changing file reads `text`; or each tree named holds exactly this."""
        if text is not None:
            seen = {
                f"{name}/{path}": content
                for name in self.paths
                for path, content in read_tree(self.paths[name]).items()
                if path.rpartition("/")[2] not in ("constant", "other")
            }
            assert seen, "nothing is shown"
            assert {path: content for path, content in seen.items() if content != text.encode()} == {}
        for name, content in trees.items():
            wanted = {path: c.encode() if isinstance(c, str) else c for path, c in content.items() if c is not None}
            assert read_tree(self.paths.get(name, self.world / name)) == wanted
        return self

    def says(self, *parts: str) -> Self:
        """The last error has each of these in its message, hint or cause, and names itself in one sentence."""
        assert self.error is not None
        told = "\n".join(filter(None, (self.error.message, self.error.hint, self.error.cause)))
        for part in parts:
            assert part in told, f"{part!r} is not in {told!r}"
        return self

    def notes(self, *parts: str) -> Self:
        """The last outcome tells each of these, as a note or a warning."""
        assert self.outcome is not None
        told = "\n".join((*self.outcome.notes, *self.outcome.warnings))
        for part in parts:
            assert part in told, f"{part!r} is not in {told!r}"
        return self

    def rests(self) -> Self:
        """Nothing is left of any interruption, and every version is what was sealed."""
        status = self.site.status()
        assert (status.state, status.interrupted) == ("rest", None)
        assert self.site.verify().problems == ()
        assert self.strange() == []
        return self

    # ------------------------------------------------------------ looking

    @property
    def current(self) -> ReleaseId:
        return ReleaseId(os.readlink(self.site_root / "current").removeprefix("releases/"))

    @property
    def ids(self) -> list[str]:
        """Every release that has a record, oldest first."""
        return sorted(path.stem for path in (self.site_root / ".treeswap/records").iterdir())

    def states(self) -> dict[str, str]:
        return {row.record.id: row.state for row in self.site.releases()}

    def slot(self, tree: str, id: str | None = None) -> Path:
        """The directory of the version of a tree that a release (default: the current) names."""
        return (self.site_root / "releases" / (id or self.current) / tree).resolve()

    def versions(self, tree: str) -> list[str]:
        return sorted(path.name for path in (self.site_root / "trees" / tree).iterdir())

    def strange(self) -> list[str]:
        """Everything in SITE, the trees_dirs and beside the public paths that no record speaks for."""
        ids = self.ids
        site = self.site
        records = {row.record.id: row.record for row in site.releases()}
        named = {(v.tree, str(v.id)) for record in records.values() for v in record.versions.values()}
        runs = {str(record.run or record.id) for record in records.values()}
        found = [f"releases/{name}" for name in _names(self.site_root / "releases") if name not in ids]
        found += [f"run/{name}" for name in _names(self.site_root / "run") if name not in runs]
        found += [f"leases/{name}" for name in _names(self.site_root / ".treeswap/leases") if name not in ids]
        for kind in ("trees", ".treeswap/manifests"):
            for tree in _names(self.site_root / kind):
                names = _names(self.site_root / kind / tree)
                found += [
                    f"{kind}/{tree}/{name}" for name in names if (tree, name.removesuffix(".sourced")) not in named
                ]
        for name, defined in site.trees.items():
            if defined.trees_dir is not None:
                held = set(_names(defined.trees_dir)) - {"shared", ".treeswap-site"}
                found += [f"{defined.trees_dir}/{entry}" for entry in held if (name, entry) not in named]
        for directory, _, files in os.walk(self.root, onerror=None):
            found += [f"{directory}/{name}" for name in files if durable.is_temporary(name)]
        if os.path.lexists(self.site_root / ".treeswap/moving"):
            found.append(".treeswap/moving")
        return sorted(found)


# ---------------------------------------------------------------- trees of files


def write_tree(root: Path, content: Content) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for path, text in content.items():
        here = root / path
        if text is None:
            here.mkdir(parents=True, exist_ok=True)
            continue
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_bytes(text.encode() if isinstance(text, str) else text)


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below, symlinks to files and directories followed; dangling ones are none."""
    assert root.is_dir(), f"{root} is not there"
    found = {}
    for directory, _, files in os.walk(root, followlinks=True):
        for name in files:
            path = Path(directory) / name
            if not path.exists():
                continue
            found[os.path.relpath(path, root)] = path.read_bytes()
    return found


def inodes(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and ctime of everything below a directory: what nobody can touch unnoticed."""
    found = {}
    for path in [root.resolve(), *sorted(root.resolve().rglob("*"))]:
        status = path.lstat()
        found[os.path.relpath(path, root.resolve())] = (status.st_ino, status.st_ctime_ns)
    return found


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def snapshot(root: Path, *, but: tuple[str, ...] = ()) -> str:
    """Everything below `root` as find(1) sees it, inodes, modes, owners, mtimes and link texts included.

    `but` are patterns (find -path) of what may change.
    """
    leave_out = [word for pattern in but for word in ("-not", "-path", str(root / pattern))]
    command = ["find", str(root), *leave_out, "-printf", r"%p\0%y\0%i\0%m\0%U:%G\0%n\0%l\0%T@\0%s\n"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, errors="surrogateescape").stdout
    return "\n".join(sorted(lines.splitlines()))


WHAT_A_REFUSAL_MAY_TOUCH = (
    "site/.treeswap/journal.jsonl",
    "site/.treeswap/*.lock",
    "site/.treeswap",
    "site/.treeswap/cache*",
    "site/.treeswap/leases",
    "site/.treeswap/records",
    "site/.treeswap/manifests*",
    "site/releases",
    "site/run",
    "site/trees*",
    "site",
    "",
)
"""What a deploy that got as far as taking its locks may have written to: the locks' signatures, the journal's reserved
ids, stat data, and the times of directories that something came into and went from."""


@contextmanager
def untouched(bench: Bench) -> Iterator[None]:
    """Nothing may be switched, and nothing left behind."""
    before, names = snapshot(bench.root, but=WHAT_A_REFUSAL_MAY_TOUCH), _all_names(bench.root)
    yield
    assert snapshot(bench.root, but=WHAT_A_REFUSAL_MAY_TOUCH) == before
    assert _all_names(bench.root) ^ names == set()


def _all_names(root: Path) -> set[str]:
    found = {os.path.join(here, name) for here, below, files in os.walk(root) for name in (*below, *files)}
    return {path for path in found if "/.treeswap/cache/" not in path}


# ---------------------------------------------------------------- other processes


@cache
def _all_imported() -> None:
    """Loads whatever the product loads late: another user may not reach this interpreter's library."""
    rooms = (name for _, name, _ in pkgutil.walk_packages(treeswap.__path__, "treeswap."))
    for name in (*rooms, "ctypes", "grp", "json.encoder", "encodings.idna"):
        if not name.startswith(("treeswap.cli", "treeswap.demo", "treeswap.__main__")):
            importlib.import_module(name)


def in_child(act: Callable[[], object], user: str | None = None) -> int:
    """Runs `act` in a child process (as another user, if named) and gives its wait status. What it raises is printed,
    and is exit code 99."""
    _all_imported()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            if user is not None:
                entry = pwd.getpwnam(user)
                os.setgroups([])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def as_nobody(act: Callable[[], object]) -> None:
    """Runs `act` as an ordinary user, or just so where this is one."""
    if os.geteuid() != 0:
        act()
        return
    status = in_child(act, "nobody")
    assert status == 0, "the child failed; see its output"


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Looks until it is so; a failure after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def _remove(root: Path) -> None:
    """Whatever is in it, read-only directories and mounts included."""
    _unmount_below(root)
    for directory, below, _ in os.walk(root):
        for name in below:
            path = Path(directory) / name
            if stat.S_ISDIR(path.lstat().st_mode):
                path.chmod(0o700)
    shutil.rmtree(root)


def _unmount_below(root: Path) -> None:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def bench(mounts: Mounts) -> Iterator[Bench]:
    """A bench in memory: what a disk makes of it is for the tests of filesystems, and of power cuts."""
    root = mounts.room()
    try:
        yield Bench(root)
    finally:
        _remove(root)


@pytest.fixture
def bench_on(filesystem: Path) -> Iterator[Bench]:
    """A bench on each kind of filesystem in turn."""
    yield Bench(filesystem)
