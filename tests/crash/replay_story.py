"""A command, recorded while it runs on filesystems under a recorder, and the states that it can leave, checked."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from treeswap import durable, occupants
from treeswap.records import Records
from treeswap.release import Record

from . import oracle, recorder_disk
from .program import import_everything
from .recorder import events
from .replay import State, Tape, copy_sparse
from .replay_check import Expected, check
from .replay_syncs import Way
from .replay_world import LABELS, TREES, World

ROOM = Path("/mnt")
"""Where a stage is, in its process's own view of the mounts."""
RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Story:
    """A command under test: what there is before it, its words, what the public paths show before and after.

    `meddle` is called in the program's process first; `code` is what it exits with; `proof` is around a run that
    nothing interrupts, and raises if the story was not what it is told for."""

    prepare: Callable[[World], None]
    words: Callable[[World], list[str]]
    before: str
    after: str
    plain: Sequence[str] = ()
    most: int | None = None
    shared: bool = False
    mixes: Sequence[str] = ("nothing",)
    meddle: Callable[[World], None] = lambda world: None
    proof: Callable[[World], AbstractContextManager[None]] = lambda world: nullcontext()
    code: int = 0

    def expected(self, *, returned: bool) -> Expected:
        """From the moment that the command returned the new state must be there."""
        if returned:
            return Expected((self.after,), self.plain, self.most, rest=True, told=True)
        return Expected((self.before, self.after))


def _copied(*labels: str) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        for label in labels:
            _well(world, *world.copying(label))

    return prepare


def _adopting(world: World) -> list[str]:
    return ["adopt", "--deploy-to", str(world.root), *world.sharing(), *(str(world.public(tree)) for tree in TREES)]


def _copied_two(world: World) -> None:
    _well(world, *world.copying("v1", trees=TREES[:2]))


def _copied_then_added(world: World) -> None:
    _copied_two(world)
    _well(world, *world.copying("v2", "--add"))


def _record_failing(_: World) -> None:
    """The disk fails when the record is there: it has to go again."""
    write = Records.write

    def fails(self: Records, record: Record) -> None:
        write(self, record)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    Records.write = fails  # type: ignore[method-assign]


def _three_kept(world: World) -> None:
    """The first one is what retention would remove next; nothing of it is kept by another one."""
    for label in ("live", "v1", "v2"):
        _well(world, *world.copying(label, "--keep", "3", "--grace", "0"))


def _recycling(_: World) -> None:
    """In a container, too: all who could come are its own."""
    occupants.sees_all = lambda *_: True


@contextmanager
def _recycled(world: World) -> Iterator[None]:
    before = world.inodes()
    yield
    if not all(world.inodes()[tree][-1] == before[tree][0] for tree in TREES):
        raise RuntimeError(f"the new versions are not the oldest ones: {before}, then {world.inodes()}")


def _failing(world: World) -> None:
    """The disk takes nothing of the new release."""

    def sync(self: durable.Barrier) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    _recycling(world)
    durable.Barrier.sync = sync  # type: ignore[method-assign]


def _entered(world: World) -> None:
    """Somebody has come into a version just before it got its new name, and it has its old one again."""

    def is_held(*_: object) -> bool:
        _asked(world).touch()
        return True

    _failing(world)
    occupants.is_held = is_held  # type: ignore[assignment]


@contextmanager
def _put_back(world: World) -> Iterator[None]:
    before = world.inodes()
    _asked(world).unlink(missing_ok=True)
    yield
    if not _asked(world).exists() or world.inodes() != before:
        raise RuntimeError(f"nothing was put back: {before}, then {world.inodes()}")


def _asked(world: World) -> Path:
    return world.room / "asked"


def _adopted_alone(world: World) -> None:
    """What is to be shared is still in the live directory."""
    world.live()
    _well(world, "adopt", "--deploy-to", str(world.root), *(str(world.public(tree)) for tree in TREES))


def _well(world: World, *words: str) -> None:
    answer = world.run(*words)
    if answer.code != 0:
        raise RuntimeError(str(answer))


STORIES: Mapping[str, Story] = {
    "copy-first": Story(lambda world: None, lambda world: world.copying("v1"), "nothing", "v1"),
    "copy-later": Story(_copied("v1"), lambda world: world.copying("v2"), "v1", "v2"),
    "copy-adopt": Story(World.live, lambda world: world.copying("v1", "--adopt"), "live", "v1"),
    "adopt": Story(World.live, _adopting, "live", "live"),
    "adopt-shared": Story(World.live, _adopting, "live", "live", shared=True),
    "rollback": Story(_copied("v1", "v2"), lambda world: ["rollback", "--site", str(world.root)], "v2", "v1"),
    "prune": Story(
        _copied("v1", "v2", "v3"),
        lambda world: ["prune", "--keep", "1", "--grace", "0", "--site", str(world.root)],
        "v3",
        "v3",
        most=2,
    ),
    "unadopt": Story(_copied("v1"), lambda world: ["unadopt", "--site", str(world.root)], "v1", "v1", plain=TREES),
    "copy-partial": Story(
        _copied("v1"), lambda world: world.copying("v3", trees=("conf",)), "v1", "part", mixes=("part",)
    ),
    "add": Story(_copied_two, lambda world: world.copying("v2", "--add"), "two", "v2", mixes=("two", "back")),
    "remove": Story(
        _copied("v1"),
        lambda world: ["unadopt", "--tree", "media", "--site", str(world.root)],
        "v1",
        "v1",
        plain=("media",),
    ),
    "rollback-across": Story(
        _copied_then_added,
        lambda world: ["rollback", "--site", str(world.root)],
        "v2",
        "back",
        mixes=("two", "back"),
    ),
    "copy-failing": Story(
        _copied("v1"), lambda world: world.copying("v2"), "v1", "v1", most=1, meddle=_record_failing, code=12
    ),
    "recycle": Story(
        _three_kept, lambda world: world.copying("v3"), "v2", "v3", most=3, meddle=_recycling, proof=_recycled
    ),
    "recycle-failing": Story(
        _three_kept, lambda world: world.copying("v3"), "v2", "v2", most=2, meddle=_failing, code=12
    ),
    "recycle-put-back": Story(
        _three_kept, lambda world: world.copying("v3"), "v2", "v2", most=3, meddle=_entered, proof=_put_back, code=12
    ),
    "share-later": Story(_adopted_alone, lambda world: world.copying("v1"), "live", "v1", shared=True),
}


@dataclass(frozen=True, slots=True)
class Finding:
    state: State
    problem: str


@dataclass(slots=True)
class Stage:
    """A story on filesystems of these kinds. Everything of it is below `room`, which must be the same path at each
    mount: public links are absolute."""

    kinds: Sequence[str]
    name: str
    room: Path
    images: dict[str, Path] = field(default_factory=dict)

    @property
    def story(self) -> Story:
        return STORIES[self.name]

    def world(self) -> World:
        mounts = [self.room / f"mount{number}" for number in range(len(self.kinds))]
        return World(mounts[0], self.room, mounts[1] if mounts[1:] else None, self.story.shared, self.story.mixes)

    @contextmanager
    def mounted(self, images: Mapping[str, Path]) -> Iterator[World]:
        world = self.world()
        with ExitStack() as stack:
            for kind, image, mountpoint in zip(self.kinds, images.values(), world.mounts(), strict=True):
                stack.enter_context(recorder_disk.mounted(kind, image, mountpoint))
            yield world

    def set_up(self) -> None:
        """Makes the filesystems, and what there is before the story."""
        for number, kind in enumerate(self.kinds):
            image = self.images[f"disk{number}"] = self.room / f"disk{number}.base"
            recorder_disk.make_image(kind, image)
        with self.mounted(self.images) as world:
            world.furnish(LABELS)
            self.story.prepare(world)

    @contextmanager
    def in_memory(self) -> Iterator[World]:
        """The same on filesystems that nothing outlives."""
        world = self.world()
        with ExitStack() as stack:
            for mountpoint in world.mounts():
                stack.enter_context(recorder_disk.memory(mountpoint))
            world.furnish(LABELS)
            self.story.prepare(world)
            yield world

    def record(self, way: Way, words: Sequence[str] | None = None) -> Tape:
        """Runs the story's command, or another one, in this way, with every write of the filesystems recorded."""
        log = self.room / "log"
        with recorder_disk.recorder(log, self.images, self.room / "recorder") as disks:
            marks = disks / "marks"
            with self.mounted({name: disks / name for name in self.images}) as world:
                marks.write_text("begin")
                story = self.story
                given = words or story.words(world)

                def begin() -> None:
                    if not words:
                        story.meddle(world)
                    way.begin(world.mounts(), marks)

                with nullcontext() if words else story.proof(world):
                    answer = world.run(*given, before=begin)
                # 10: recovering from a first copy that had not come as far as a site.
                if answer.code not in ((0, 10) if words else (story.code,)):
                    raise RuntimeError(f"{way}: {answer}")
                marks.write_text(RETURNED)
                way.commit(world.mounts())
                marks.write_text("end")
        recorded = [*events(log)]
        return Tape(recorded[: Tape(recorded, {}).marked("end")], self.images)

    def judge(
        self, tape: Tape, states: Sequence[State], *, each: int = 1, turn: int = 0, shown: str | None = None
    ) -> Iterator[Finding]:
        """Each of these states is mounted and looked at, and in `each`-th ones the program goes on, in one way
        and another by turns; gives the bad ones. `shown` is what a recovery has to leave as it is."""
        for number, (state, images) in enumerate(tape.build(states, self.room)):
            returned = tape.says(state, RETURNED)
            expected = Expected((shown,), rest=returned) if shown else self.story.expected(returned=returned)
            try:
                with self.mounted(images) as world:
                    problem = check(world, expected, turn + number // each if number % each == 0 else None)
            except OSError as error:
                problem = f"it cannot be mounted: {error}"
            if problem:
                yield Finding(state, problem)

    def recovering(self, tape: Tape, state: State, way: Way) -> tuple[Stage, Tape, str]:
        """The recovery from one of a tape's states, recorded in turn; and what is shown there."""
        again = Stage(self.kinds, self.name, self.room)
        _, images = next(tape.build([state], self.room))
        for name, image in images.items():
            again.images[name] = self.room / f"{name}.again"
            copy_sparse(image, again.images[name])
        with self.mounted(images) as world:
            shown = oracle.whole_release(world.site, world.known())
            words = ["recover", "--site", str(world.root)]
        return again, again.record(way, words), shown


def open_room(kinds: Sequence[str], name: str) -> Stage:
    """A stage in memory that nobody but this process and its children sees, and that ends with them."""
    recorder_disk.alone()
    recorder_disk.mount_memory(ROOM)
    for name_ in ("mount0", "mount1", "recorder"):
        (ROOM / name_).mkdir()
    import_everything()
    return Stage(kinds, name, ROOM)
