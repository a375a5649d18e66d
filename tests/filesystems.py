"""Real filesystems for tests: images on loop devices, mounted below a temporary directory, unmounted in any case.

`filesystem` is a fresh directory on each kind in turn; `room` is one in memory, or where temporary files are. Who
cannot mount is skipped, with the reason; where `CI` is `true` that is a failure instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

KINDS = ("tmpfs", "ext4", "xfs", "btrfs")
_MEGABYTES = {"tmpfs": 512, "ext4": 256, "xfs": 320, "btrfs": 256}
_QUIET = {"ext4": ["-q", "-m0"], "xfs": ["-q"], "btrfs": ["-q"]}


class CannotMount(Exception):
    """There are no filesystems to be made here, and why."""


@contextmanager
def mounted(kind: str, megabytes: int | None = None, *options: str) -> Iterator[Path]:
    """The root of a new filesystem; `options` are mkfs's. Raises `CannotMount`."""
    if os.geteuid() != 0:
        raise CannotMount("only root can mount")
    room = Path(tempfile.mkdtemp(prefix=f"treeswap-{kind}-{os.getpid()}-"))
    size = megabytes or _MEGABYTES[kind]
    try:
        room.chmod(0o755)
        root = room / "root"
        root.mkdir()
        if kind == "tmpfs":
            _run("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(root))
        else:
            _mount_image(kind, room / "image", size, options, root)
        try:
            root.chmod(0o755)
            yield root
        finally:
            unmount(root)
    finally:
        shutil.rmtree(room)


def _mount_image(kind: str, image: Path, megabytes: int, options: tuple[str, ...], root: Path) -> None:
    make = shutil.which(f"mkfs.{kind}")
    if make is None:
        raise CannotMount(f"mkfs.{kind} is not installed")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run(make, *_QUIET[kind], *options, str(image))
    _run("mount", "-o", "loop", str(image), str(root))


def unmount(path: Path) -> None:
    """Unmounts what is mounted at `path`, at the latest when the last process has left it."""
    if subprocess.run(["umount", str(path)], capture_output=True).returncode != 0:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def sweep() -> None:
    """Unmounts and removes what test runs left that were killed: their process ids are in the names."""
    for room in Path(tempfile.gettempdir()).glob("treeswap-*-*-*"):
        kind, _, pid = room.name.removeprefix("treeswap-").rpartition("-")[0].partition("-")
        if kind in KINDS and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            if (room / "root").is_mount():
                unmount(room / "root")
            shutil.rmtree(room, ignore_errors=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMount(f"{' '.join(command)}: {done.stderr.strip()}")


def without(reason: CannotMount) -> None:
    """Ends a test that needs what cannot be had."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(reason))
    pytest.skip(str(reason))


class Mounts:
    """Filesystems that are mounted when first asked for, and stay until the last test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._roots: dict[str, Path] = {}

    def directory(self, kind: str) -> Path:
        """A new directory on a filesystem of this kind, which every user may enter."""
        return self._new_directory(self._root(kind))

    def room(self) -> Path:
        """A new directory in memory, or where temporary files are, which every user may enter."""
        try:
            return self._new_directory(self._mounted("tmpfs"))
        except CannotMount:
            return self._new_directory(Path(tempfile.gettempdir()))

    def _root(self, kind: str) -> Path:
        try:
            return self._mounted(kind)
        except CannotMount as reason:
            without(reason)
            raise

    def _new_directory(self, root: Path) -> Path:
        directory = Path(tempfile.mkdtemp(prefix="test-", dir=root))
        directory.chmod(0o755)
        return directory

    def _mounted(self, kind: str) -> Path:
        if kind not in self._roots:
            self._roots[kind] = self._stack.enter_context(mounted(kind))
        return self._roots[kind]


@pytest.fixture(scope="session")
def mounts() -> Iterator[Mounts]:
    if os.geteuid() == 0:
        sweep()
    with ExitStack() as stack:
        yield Mounts(stack)


@pytest.fixture(params=KINDS)
def filesystem(request: pytest.FixtureRequest, mounts: Mounts) -> Iterator[Path]:
    directory = mounts.directory(request.param)
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


@pytest.fixture
def room(mounts: Mounts) -> Iterator[Path]:
    """A fresh directory in memory, or where temporary files are, which every user may enter."""
    directory = mounts.room()
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)
