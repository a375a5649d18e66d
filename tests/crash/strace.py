"""The system calls of a run, as strace(1) tells them: which of them change files, and which errors each can return.

A call is named by its system call and its place among the run's calls of that kind: `rename:3` is the third. Those of
threads, of other programs that the run starts, and those that look at processes, are not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
    socket connect sendto sendmmsg recvfrom getsockname getpeername getsockopt setsockopt bind epoll_create1 umask
    exit_group sched_getaffinity set_robust_list rseq sched_yield execve pidfd_open pidfd_send_signal kill waitid
    memfd_create prctl
"""
HARMLESS = frozenset(_OTHERS.split())

_CALL = re.compile(r"^\[\s*(\d+)\] ((\w+)\((.*?)(?:\)\s+= (.*)| <unfinished .*)?)$")
_SUBJECT = re.compile(r'("(?:[^"\\]|\\.)*)"|(A)T_FDCWD(<[^>]*)>|\d+(<[^>]*)>')
_FIRST_ONLY = {"read", "pread64", "write", "pwrite64", "getdents64", "readlink", "setxattr", "fsetxattr"}
"""Calls whose further arguments are no paths, however they look."""
_VARIES = re.compile(r"\.[0-9a-f]{16}\.|\d+")
BEGINS = "sched_yield"
"""The call after which the program begins."""


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    nth: int
    number: int
    """The system's, for this kind of call."""
    text: str

    @property
    def id(self) -> str:
        return f"{self.name}:{self.nth}"

    @property
    def subjects(self) -> list[tuple[int, str]]:
        """The files that the call is about: the place of the argument, then the path, after a quote, or after `<` and
        `A<` where a descriptor stands for it."""
        arguments = self.text.partition("(")[2].split(", ")
        found = enumerate(arguments[:1] if self.name in _FIRST_ONLY else arguments[:4])
        matches = ((position, _SUBJECT.match(argument)) for position, argument in found)
        return [(position, "".join(filter(None, match.groups()))) for position, match in matches if match]


def calls(trace: str) -> Iterator[Call]:
    """Every call of a trace, from where the program begins."""
    seen: Counter[str] = Counter()
    for line in trace.partition(BEGINS)[2].splitlines():
        if (found := _CALL.match(line)) is not None:
            call = Call(found[3], seen[found[3]] + 1, int(found[1]), found[2])
            if not is_of_processes([told for _, told in call.subjects]):
                seen[call.name] += 1
                yield call


def is_of_processes(subjects: Iterable[str]) -> bool:
    """Whether a call looks at processes. How many there are, and what they have open, differs from run to run."""
    return any(told.lstrip('"<').startswith("/proc") for told in subjects)


def find(found: Iterable[Call], name: str, nth: int) -> Call:
    return next(call for call in found if (call.name, call.nth) == (name, nth))


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


def is_same(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether calls of two runs were about the same files, ids and random names aside."""
    return [_VARIES.sub("·", told) for told in some] == [_VARIES.sub("·", told) for told in others]
