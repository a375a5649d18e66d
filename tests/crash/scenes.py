"""The commands that are swept, each with what was there before it.

Every scene is a world of its own: sources of several versions, public paths, and a SITE that earlier commands made. A
version of a tree has three files, of which one never changes; one tree also has what is cloned, holes and attributes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .oracle import Answer, Broken, Seen, Shown, Site
from .program import KILLED, Program
from .strace import calls, find
from .trap import Trap

TREES = ("apps", "conf", "media")
UPLOADS = {"uploads/a": b"kept"}
_BIG = 70_000
"""Bytes from which a file is cloned where the filesystem can."""


def content(tree: str, version: str) -> dict[str, bytes]:
    """What a version of a tree shows to a reader."""
    text = version.encode()
    files = {"f": text, "sub/g": text, "sub/constant": b"c", "link": text}
    return {**files, "big": text * _BIG, "holes": text + bytes(9999)} if tree == "apps" else files


class World:
    """Directories on one or two filesystems (`here`, `there`), and the program to use them with.

    `keep` in `here` holds the sources. `world` in both is what changes: it is saved once and restored for every run.
    """

    deploys_after = False
    """Whether a deploy follows each case, whatever command came next."""

    has_daemon = False

    def __init__(self, here: Path, there: Path, *, elsewhere: bool) -> None:
        self.here, self.there, self.elsewhere = here, there, elsewhere
        self.keep, self.changing = here / "keep", [here / "world", there / "world"]
        for directory in (*self.changing, self.keep, here / "scratch"):
            directory.mkdir()
        self.root, self.beside = self.changing
        (self.root / "srv").mkdir()
        (self.beside / "srv").mkdir()
        self.program = Program(self.root, here / "scratch")
        if not elsewhere:
            self.changing.pop()
        public = {name: self.root / "srv" / name for name in TREES}
        trees_dirs = {}
        if elsewhere:
            public["media"] = self.beside / "srv" / "media"
            trees_dirs["media"] = self.beside / "srv" / ".treeswap" / "media.trees"
        self.site = Site(self.root / "site", public, trees_dirs)
        for version in ("1", "2", "3", "9"):
            self._sources(version)

    def settings(self) -> list[str]:
        """What the configuration says besides the trees."""
        return ["keep_releases = 1", 'grace = "0s"', "[commands]", 'after_switch = ["true"]']

    def _sources(self, version: str) -> None:
        lines = ['name = "swept"', f'deploy_to = "{self.site.root}"', *self.settings()]
        for tree in TREES:
            write(self.source(tree, version), content(tree, version))
            source, path = self.source(tree, version), self.site.public[tree]
            lines += [f"[trees.{tree}]", f'source = "{source}"', f'path = "{path}"']
        (self.keep / f"{version}.toml").write_text("\n".join(lines) + "\n")

    def source(self, tree: str, version: str) -> Path:
        return self.keep / version / tree

    def live(self, tree: str, version: str, more: Mapping[str, bytes] | None = None) -> None:
        """A plain directory where a public path is to be."""
        write(self.site.public[tree], {**content(tree, version), **(more or {})})

    # ------------------------------------------------------------ command lines

    def copy(self, version: str, *trees: str, more: Iterable[str] = ()) -> tuple[str, ...]:
        pairs = [f"{self.source(tree, version)}:{self.site.public[tree]}" for tree in trees or TREES]
        return ("copy", *pairs, "--deploy-to", str(self.site.root), *more)

    def configured(self, command: str, version: str, *more: str) -> tuple[str, ...]:
        return (command, "--site", str(self.keep / f"{version}.toml"), *more)

    def on_site(self, command: str, *more: str) -> tuple[str, ...]:
        return (command, *more, "--site", str(self.site.root))

    def did(self, *words: str) -> None:
        """Runs a command of the preparation, which must go well."""
        answer = self.program.run(*words)
        assert answer.code == 0, str(answer)

    def died(self, words: tuple[str, ...], name: str, nth: int) -> None:
        """Runs a command that is killed at a call, which an undisturbed run tells before."""
        self.save()
        self.restore()
        self.program.run(*words, traced=True)
        call = find(calls(self.program.trace.read_text()), name, nth)
        self.restore()
        answer = self.program.run(*words, trap=Trap(call))
        assert answer.code == KILLED, str(answer)

    # ------------------------------------------------------------ what there is besides files

    def visited(self) -> AbstractContextManager[None]:
        """`Broken` at the end of the block, if anything was not there for visitors meanwhile."""
        return nullcontext()

    def at_once(self, words: tuple[str, ...], answer: Answer) -> None:
        """`Broken` if anything is not as it must be when a command has ended or was killed."""

    def rests(self) -> None:
        """`Broken` if anything is not as it must be when the next change has been made."""

    def lose_daemon(self) -> None:
        """SIGKILL for what runs the processes."""

    def clear(self) -> None:
        """Ends what was started."""

    # ------------------------------------------------------------ the same world again

    def save(self) -> None:
        for directory in self.changing:
            _copy(directory, directory.with_name("saved"))

    def restore(self) -> None:
        for directory in self.changing:
            _copy(directory.with_name("saved"), directory)


def write(root: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "link":
            path.symlink_to("f")
            continue
        with path.open("wb") as file:
            file.write(data.rstrip(b"\0"))
            file.truncate(len(data))
    with suppress(OSError):
        os.setxattr(root / "sub/g", "user.treeswap", b"kept")


def _copy(source: Path, target: Path) -> None:
    """An equal directory, links and times included."""
    if target.exists():
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", "--reflink=never", str(source), str(target)], check=True)


# ---------------------------------------------------------------- scenes


@dataclass(frozen=True, slots=True)
class Scene:
    """`prepare` makes what was there and gives the command line. `before` and `after` are the versions that each
    public path shows, None where it leads nowhere. Every release shows whole versions of `versions`."""

    name: str
    prepare: Callable[[World], tuple[str, ...]]
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    elsewhere: bool = False
    uploads: bool = False
    repeats: bool = True
    """Whether the same command line once more is no change."""
    removes: bool = False
    """Whether it removes what was there: then a failure may leave a part of it, which the next change clears."""
    world: type[World] = World
    flags: tuple[str, ...] = field(default=())
    """What every further copy of this site has to say."""

    def shows(self, versions: Mapping[str, str | None]) -> Shown:
        return {tree: self.seen(tree, version) for tree, version in versions.items()}

    def seen(self, tree: str, version: str | None) -> Seen | None:
        if version is None:
            return None
        return {**content(tree, version), **(UPLOADS if self.uploads and tree == "media" else {})}


def _all(version: str | None) -> dict[str, str | None]:
    return dict.fromkeys(TREES, version)


def _first(world: World) -> tuple[str, ...]:
    return world.copy("1")


def _live(world: World, uploads: bool = False) -> None:
    for tree in TREES:
        world.live(tree, "1", UPLOADS if uploads and tree == "media" else None)


_SHARED = ("--adopt", "--shared", "media/uploads/")


def _adopting(world: World) -> tuple[str, ...]:
    _live(world, uploads=True)
    return world.copy("2", more=_SHARED)


def _later(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1"))
    world.did(*world.copy("2"))
    return world.copy("3")


def _recycling(world: World) -> tuple[str, ...]:
    """The version of the first deploy is the one that retention would remove next."""
    for version in ("1", "2", "9"):
        world.did(*world.copy(version, more=("--grace", "0", "--keep", "3")))
    return world.copy("3")


def _partial(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1"))
    return world.copy("2", "conf")


def _deploy(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    world.did(*world.configured("deploy", "2"))
    return world.configured("deploy", "3")


def _switch(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1", more=("--label", "first")))
    world.did(*world.copy("2"))
    return world.on_site("switch", "first")


def _switch_adopting(world: World) -> tuple[str, ...]:
    _live(world)
    world.did(*world.configured("stage", "2", "--label", "first", "--adopt"))
    return world.on_site("switch", "first", "--adopt")


def _rollback(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1"))
    world.did(*world.copy("2"))
    return world.on_site("rollback")


def _rollback_across(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1", "apps", "conf"))
    world.did(*world.copy("2", more=("--add",)))
    return world.on_site("rollback")


def _adopt(world: World) -> tuple[str, ...]:
    _live(world, uploads=True)
    dests = [str(world.site.public[tree]) for tree in TREES]
    return ("adopt", *dests, "--deploy-to", str(world.site.root), "--shared", "media/uploads/")


def _unadopt(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1"))
    return world.on_site("unadopt")


def _unadopt_adopted(world: World) -> tuple[str, ...]:
    world.did(*_adopt(world))
    return world.on_site("unadopt")


def _prune(world: World) -> tuple[str, ...]:
    for version in ("1", "2", "3"):
        world.did(*world.copy(version, more=("--grace", "0")))
    return world.on_site("prune", "--keep", "1")


def _stage(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    return world.configured("stage", "2")


def _add(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1", "apps", "conf"))
    return world.copy("2", more=("--add",))


def _add_adopting(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1", "apps", "conf"))
    world.live("media", "1")
    return world.copy("2", more=("--add", "--adopt"))


def _remove(world: World) -> tuple[str, ...]:
    world.did(*world.copy("1"))
    return world.on_site("unadopt", "--tree", "media")


def _recover(prepare: Callable[[World], tuple[str, ...]], name: str, nth: int) -> Callable[[World], tuple[str, ...]]:
    def prepared(world: World) -> tuple[str, ...]:
        world.died(prepare(world), name, nth)
        return world.on_site("recover")

    return prepared


SCENES: tuple[Scene, ...] = (
    Scene("copy-first", _first, _all(None), _all("1")),
    Scene("copy-adopting", _adopting, _all("1"), _all("2"), uploads=True, flags=_SHARED),
    Scene("copy-later", _later, _all("2"), _all("3")),
    Scene("copy-recycling", _recycling, _all("9"), _all("3"), removes=True),
    Scene("copy-partial", _partial, _all("1"), {"apps": "1", "conf": "2", "media": "1"}),
    Scene("deploy", _deploy, _all("2"), _all("3")),
    Scene("switch", _switch, _all("2"), _all("1")),
    Scene("switch-adopting", _switch_adopting, _all("1"), _all("2")),
    Scene("rollback", _rollback, _all("2"), _all("1"), repeats=False),
    Scene("rollback-across", _rollback_across, _all("2"), {"apps": "1", "conf": "1", "media": "2"}, repeats=False),
    Scene("adopt", _adopt, _all("1"), _all("1"), uploads=True, flags=_SHARED),
    Scene("unadopt", _unadopt, _all("1"), _all("1"), repeats=False),
    Scene("unadopt-adopted", _unadopt_adopted, _all("1"), _all("1"), uploads=True, repeats=False, flags=_SHARED),
    Scene("prune", _prune, _all("3"), _all("3"), removes=True),
    Scene("stage", _stage, _all("1"), _all("1")),
    Scene("add", _add, {"apps": "1", "conf": "1", "media": None}, _all("2"), flags=("--add",)),
    Scene("add-adopting", _add_adopting, _all("1"), _all("2"), flags=("--add", "--adopt")),
    Scene("remove", _remove, _all("1"), _all("1"), repeats=False, flags=("--add", "--adopt")),
    Scene(
        "recover-adopting",
        _recover(_adopting, "renameat2", 5),
        _all("1"),
        _all("1"),
        uploads=True,
        removes=True,
        flags=_SHARED,
    ),
    Scene(
        "recover-unadopt",
        _recover(_unadopt, "renameat2", 2),
        _all("1"),
        _all("1"),
        removes=True,
        flags=("--add", "--adopt"),
    ),
    Scene("recover-copy", _recover(_later, "syncfs", 1), _all("2"), _all("2"), removes=True),
    Scene("recover-recycling", _recover(_recycling, "renameat2", 2), _all("9"), _all("9"), removes=True),
    Scene("recover-prune", _recover(_prune, "unlinkat", 2), _all("3"), _all("3"), removes=True),
    Scene("elsewhere-first", _first, _all(None), _all("1"), elsewhere=True),
    Scene("elsewhere-adopting", _adopting, _all("1"), _all("2"), elsewhere=True, uploads=True, flags=_SHARED),
    Scene("elsewhere-later", _later, _all("2"), _all("3"), elsewhere=True),
    Scene("elsewhere-recycling", _recycling, _all("9"), _all("3"), removes=True, elsewhere=True),
    Scene("elsewhere-rollback", _rollback, _all("2"), _all("1"), elsewhere=True, repeats=False),
    Scene("elsewhere-unadopt", _unadopt, _all("1"), _all("1"), elsewhere=True, repeats=False),
    Scene("elsewhere-prune", _prune, _all("3"), _all("3"), removes=True, elsewhere=True),
)
"""Every command that changes a site. The recovering ones begin with what a kill at a call has left."""

if os.geteuid() != 0:  # who cannot look at every process recycles nothing
    SCENES = tuple(scene for scene in SCENES if "recycling" not in scene.name)


def went_well(answer: Answer) -> None:
    if answer.code != 0:
        raise Broken("a command after a crash works without help", str(answer))
