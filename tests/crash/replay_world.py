"""A small site on filesystems of its own, whose contents are known by label, and the program run in it.

Each label (`live`, `v1`, …) stands for one content of every tree, made by a rule: so what a public path shows can be
told without asking the product anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import oracle
from .program import Program

TREES = ("apps", "conf", "media")
LABELS = ("live", "v1", "v2", "v3", "next")
LINK = ("link", "d/page")
MIXES: Mapping[str, Mapping[str, str | None]] = {
    "nothing": dict.fromkeys(TREES),
    "two": {"apps": "v1", "conf": "v1", "media": None},
    "back": {"apps": "v1", "conf": "v1", "media": "v2"},
    "part": {"apps": "v1", "conf": "v3", "media": "v1"},
}
"""What the public paths show in some stories that no label stands for: before a first copy; while there are but two
trees; after going back to a release of these; with one tree changed."""

SHARED = ("media", "up/loaded")
"""A file that only a live directory has, and that outlives it where its directory is shared."""


def content(label: str, tree: str) -> dict[str, bytes]:
    """Three files, one of them alike in all labels, and what a symlink leads to. `conf` is the same in v1 and v2."""
    if tree == "conf" and label == "v2":
        label = "v1"
    page = f"{tree} {label} page\n".encode() * 700
    return {
        "about": f"{tree} {label}\n".encode(),
        "d/page": page,
        "same": f"{tree}, always the same\n".encode() * 300,
        LINK[0]: page,
    }


@dataclass(frozen=True, slots=True)
class World:
    """`main` is a mounted filesystem with the site, the sources and the public paths, but for that of `media`, which is
    on `other` where there is one. `room` is a directory outside of both. `shared`: there is an upload, in a directory
    that every copy and adoption shares. `mixes` can be shown, too."""

    main: Path
    room: Path
    other: Path | None = None
    shared: bool = False
    mixes: Sequence[str] = ("nothing",)

    @property
    def root(self) -> Path:
        """SITE."""
        return self.main / "srv" / "site"

    def public(self, tree: str) -> Path:
        return (self.other if self.other and tree == "media" else self.main) / "pub" / tree

    def source(self, label: str, tree: str) -> Path:
        return self.main / "src" / label / tree

    @property
    def site(self) -> oracle.Site:
        """As the oracle knows it."""
        rooms = {"media": self.other / "pub" / ".treeswap" / "media.trees"} if self.other else {}
        return oracle.Site(self.root, {tree: self.public(tree) for tree in TREES}, rooms)

    def mounts(self) -> list[Path]:
        return [self.main, self.other] if self.other else [self.main]

    def inodes(self) -> dict[str, list[int]]:
        """Of each tree's versions, oldest first."""
        rooms = {tree: self.site.trees_dirs.get(tree, self.root / "trees" / tree) for tree in TREES}
        return {tree: [path.stat().st_ino for path in sorted(room.glob("[0-9]*"))] for tree, room in rooms.items()}

    def known(self) -> dict[str, oracle.Shown]:
        """What the public paths show of each label, and in each mix of them."""
        each = {**{mix: MIXES[mix] for mix in self.mixes}, **{label: dict.fromkeys(TREES, label) for label in LABELS}}
        return {name: {tree: self._shown(label, tree) for tree, label in mix.items()} for name, mix in each.items()}

    def _shown(self, label: str | None, tree: str) -> oracle.Seen | None:
        return {**content(label, tree), **self.upload(tree)} if label else None

    def upload(self, tree: str) -> dict[str, bytes]:
        """What only live directories have of a tree, and shared paths."""
        return {SHARED[1]: b"a picture\n" * 900} if self.shared and tree == SHARED[0] else {}

    # ------------------------------------------------------------ making

    def furnish(self, labels: Sequence[str]) -> None:
        """The sources, and the directories in which public paths are."""
        for mount in self.mounts():
            mount.chmod(0o755)
            (mount / "pub").mkdir()
            (mount / "elsewhere").touch()
        for label in labels:
            for tree in TREES:
                put(self.source(label, tree), content(label, tree))

    def live(self) -> None:
        """Plain directories at the public paths."""
        for tree in TREES:
            put(self.public(tree), {**content("live", tree), **self.upload(tree)})

    def sharing(self) -> list[str]:
        return ["--shared", f"{SHARED[0]}/{Path(SHARED[1]).parent}/"] if self.shared else []

    def copying(self, label: str, *flags: str, trees: Sequence[str] = TREES) -> list[str]:
        """The command that copies the sources of a label."""
        pairs = [f"{self.source(label, tree)}:{self.public(tree)}" for tree in trees]
        return ["copy", "--deploy-to", str(self.root), *self.sharing(), *flags, *pairs]

    def run(self, *words: str, user: str | None = None, before: Callable[[], None] | None = None) -> oracle.Answer:
        """The program, in a process of its own, as root or as `nobody`; `before` is called there first."""
        return Program(Path("/"), self.room).run(*words, user=user, patch=before)


def put(directory: Path, wanted: Mapping[str, bytes]) -> None:
    """Makes a directory with this content."""
    for name, data in wanted.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == LINK[0]:
            path.symlink_to(LINK[1])
        else:
            path.write_bytes(data)
