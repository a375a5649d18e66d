"""Small filesystems of a process's own: images, loop devices and mounts that nobody else sees and that end with it.

A process that called `alone` has its own mount namespace, and each loop device goes with its last user, so that
nothing stays behind however the process ends. All of this needs root.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOATIME = 0x1000, 0x4000, 0x40000, 0x400
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE, _LOOP_SET_STATUS64 = 0x4C82, 0x4C0A, 0x4C04
_LO_FLAGS_AUTOCLEAR = 4
_BTRFS_IOC_FORGET_DEV = 0x50009405
_RECORDER = Path(__file__).with_name("recorder.py")

SIZES = {"ext4": 24 << 20, "xfs": 300 << 20, "btrfs": 114 << 20}
"""Bytes, about the least that each can be."""

_MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-b", "4096", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-m", "0"],
    "xfs": ["mkfs.xfs", "-q", "-K", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-K", "-f"],
}


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def alone() -> None:
    """From here on this process and its children mount for themselves only."""
    _checked(libc().unshare(_CLONE_NEWNS), "a mount namespace")
    _checked(libc().mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "/")


def mount_memory(mountpoint: Path) -> None:
    """An empty filesystem in memory, traversable for all."""
    _checked(libc().mount(b"room", os.fsencode(mountpoint), b"tmpfs", 0, b"mode=755,size=8g"), str(mountpoint))


@contextmanager
def memory(mountpoint: Path) -> Iterator[None]:
    mount_memory(mountpoint)
    try:
        yield
    finally:
        _checked(libc().umount2(os.fsencode(mountpoint), 0), str(mountpoint))


@contextmanager
def bound(directory: Path, mountpoint: Path) -> Iterator[None]:
    """A directory, mounted elsewhere, too."""
    _checked(libc().mount(os.fsencode(directory), os.fsencode(mountpoint), None, _MS_BIND, None), str(mountpoint))
    try:
        yield
    finally:
        _checked(libc().umount2(os.fsencode(mountpoint), 0), str(mountpoint))


def make_image(kind: str, image: Path) -> None:
    """A sparse file with a fresh filesystem in it."""
    with image.open("wb") as opened:
        opened.truncate(SIZES[kind])
    environ = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    subprocess.run([*_MKFS[kind], str(image)], check=True, stdout=subprocess.DEVNULL, env=environ)
    subprocess.run(["fallocate", "--dig-holes", str(image)], check=False)


@contextmanager
def mounted(kind: str, image: Path, mountpoint: Path) -> Iterator[None]:
    """The filesystem in `image`, mounted read-write; its journal is replayed by that, as after a power loss."""
    device = _attach(image)
    try:
        source = os.readlink(f"/proc/self/fd/{device}")
        _checked(
            libc().mount(source.encode(), os.fsencode(mountpoint), kind.encode(), _MS_NOATIME, b"nodiscard"),
            f"{kind} from {image}",
        )
        try:
            yield
        finally:
            _checked(libc().umount2(os.fsencode(mountpoint), 0), str(mountpoint))
            if kind == "btrfs":
                _forget(source)
    finally:
        os.close(device)


@contextmanager
def recorder(log: Path, images: Mapping[str, Path], mountpoint: Path) -> Iterator[Path]:
    """A recorder over these images; gives the directory with a file for each, and `marks`."""
    words = [str(mountpoint), str(log), *(f"{name}={image}" for name, image in images.items())]
    server = subprocess.Popen([sys.executable, str(_RECORDER), *words], stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError("the recorder did not start")
        try:
            yield mountpoint
        finally:
            _checked(libc().umount2(os.fsencode(mountpoint), 0), str(mountpoint))
        server.wait(10)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _attach(image: Path) -> int:
    """An open loop device on `image`, which goes when the last user of it goes."""
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            information = struct.pack("<5Q4I64s64s32s2Q", *[0] * 8, _LO_FLAGS_AUTOCLEAR, b"", b"", b"", 0, 0)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, struct.pack("<II", backing, 512) + information + bytes(64))
                return device
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # else somebody else was faster
                    raise
    finally:
        os.close(control)
        os.close(backing)


def _forget(device: str) -> None:
    """btrfs remembers the devices that it saw, and refuses an older state of the same filesystem on another one."""
    control = os.open("/dev/btrfs-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(control, _BTRFS_IOC_FORGET_DEV, bytearray(struct.pack("<q4088s", 0, device.encode())))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EBUSY):
            raise
    finally:
        os.close(control)
