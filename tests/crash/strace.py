"""The system calls of a run: which of them change files, which errors each can return, and how strace(1) makes it so.

A call is named by its system call and its place among the run's calls of that kind, as strace counts them for an
injection: `rename:3` is the third.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_SPACE = ("ENOSPC", "EDQUOT")
_NEW_NAME = ("EIO", *_SPACE, "EACCES", "EROFS")

ERRORS: dict[str, tuple[str, ...]] = {
    "openat": (*_NEW_NAME, "EINTR"),
    "rename": _NEW_NAME,
    "renameat": _NEW_NAME,
    "renameat2": (*_NEW_NAME, "EMLINK"),
    "link": (*_NEW_NAME, "EMLINK"),
    "linkat": (*_NEW_NAME, "EMLINK"),
    "symlink": _NEW_NAME,
    "symlinkat": _NEW_NAME,
    "mkdir": (*_NEW_NAME, "EMLINK"),
    "mkdirat": (*_NEW_NAME, "EMLINK"),
    "unlink": ("EIO", "EACCES", "EROFS"),
    "unlinkat": ("EIO", "EACCES", "EROFS"),
    "rmdir": ("EIO", "EACCES", "EROFS"),
    "write": ("EIO", *_SPACE, "EINTR"),
    "pwrite64": ("EIO", *_SPACE, "EINTR"),
    "copy_file_range": ("EIO", *_SPACE),
    "ioctl": ("EIO", *_SPACE),
    "ftruncate": ("EIO", "EINTR"),
    "chmod": ("EIO", "EROFS"),
    "fchmod": ("EIO", "EROFS"),
    "fchmodat": ("EIO", "EROFS"),
    "chown": ("EIO", "EDQUOT", "EROFS"),
    "fchown": ("EIO", "EDQUOT", "EROFS"),
    "fchownat": ("EIO", "EDQUOT", "EROFS"),
    "utimensat": ("EIO", "EACCES", "EROFS"),
    "setxattr": ("EIO", *_SPACE),
    "fsetxattr": ("EIO", *_SPACE),
    "fremovexattr": ("EIO", "EROFS"),
    "fsync": ("EIO", *_SPACE, "EROFS", "EINTR"),
    "fdatasync": ("EIO", *_SPACE, "EROFS", "EINTR"),
    "syncfs": ("EIO", *_SPACE),
    "flock": ("EINTR",),
}
"""The calls that change files, or make a change durable, or guard one; with the errors that each can return."""

READING: dict[str, tuple[str, ...]] = {
    "openat": ("EIO", "EACCES"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO",),
    "getdents64": ("EIO",),
    "readlink": ("EIO", "EACCES"),
}
"""The calls by which files are read, with errors."""

_OTHERS = """
    read pread64 close lseek newfstatat statfs readlink readlinkat getdents64 listxattr flistxattr getxattr fgetxattr
    access faccessat faccessat2 statx getcwd chdir brk mmap munmap mprotect mremap madvise rt_sigaction rt_sigprocmask
    rt_sigreturn restart_syscall futex getpid gettid getppid getuid geteuid getgid getegid getgroups getrandom uname
    sysinfo clock_gettime clock_nanosleep prlimit64 fcntl dup dup2 dup3 pipe2 vfork clone clone3 wait4 poll select
    socket connect sendto sendmmsg recvfrom getsockname bind epoll_create1 umask exit_group sched_getaffinity
    set_robust_list rseq sched_yield execve
"""
HARMLESS = frozenset(_OTHERS.split())

_CALL = re.compile(r"^(\w+)\((.*?)(?:\)\s+= (.*)| <unfinished .*)?$")
_VARIES = re.compile(r"\.[0-9a-f]{16}\.|\d+")


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    nth: int
    text: str

    @property
    def id(self) -> str:
        return f"{self.name}:{self.nth}"


def calls(trace: str) -> Iterator[Call]:
    """Every call of a trace."""
    seen: Counter[str] = Counter()
    for line in trace.splitlines():
        if (found := _CALL.match(line)) is not None:
            seen[found[1]] += 1
            yield Call(found[1], seen[found[1]], line)


def changes(call: Call) -> bool:
    """Whether a call changes files, or makes a change durable."""
    match call.name:
        case "openat":
            return "O_CREAT" in call.text or "O_TRUNC" in call.text
        case "ioctl":
            return "FICLONE" in call.text or "BTRFS_IOC_CLONE" in call.text
        case "write":
            return not re.match(r"write\(\d+<(?:/memfd:|pipe:|socket:)", call.text)
        case "flock":
            return False
    return call.name in ERRORS


def is_known(call: Call) -> bool:
    return call.name in HARMLESS or call.name in ERRORS or call.name == "ioctl"


def killing(call: Call) -> list[str]:
    """Options of strace by which SIGKILL meets a run on entering a call: the call is not carried out."""
    return [f"--trace={call.name}", f"--inject={call.name}:signal=SIGKILL:when={call.nth}"]


def failing(call: Call, error: str) -> list[str]:
    """Options by which a call returns an error instead of being carried out."""
    return [f"--trace={call.name}", f"--inject={call.name}:error={error}:when={call.nth}"]


def is_same(call: Call, other: Call | None) -> bool:
    """Whether two runs did the same by these calls, ids, times and random names aside."""
    return other is not None and call.id == other.id and _object(call.text) == _object(other.text)


def _object(text: str) -> str:
    """The file that a call is about: all that stands before what differs from run to run."""
    if text.startswith(("write", "pwrite", "read", "pread", "getdents")):
        head = text.partition(", ")[0]
    else:
        head = re.split(r", \[|, \{|\) = |\)? <unfin", text)[0]
    return _VARIES.sub("·", head)
