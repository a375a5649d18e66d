"""Console blocks, run in one bash session, their output compared with what the page shows.

A line that begins with `$ ` is typed, with the lines beginning with `> ` that follow it; what stands below, up to the
next, is the output. A command fails exactly where its output shows an `error:`.

What differs from run to run is compared as what it is. An id of the page stands for one id of the run, throughout.
Times, durations, process numbers, and users with their hosts stand for any. `…` stands for any text, and on a line of
its own for any lines. The width of blanks does not count. The home directory is `/home/ana`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .pages import Block

HOME = "/home/ana"
_END = "end-of-the-command"
_PATIENCE = 120
"""Seconds after which a command is taken for stuck."""
_TOKENS = re.compile(
    r"(?P<id>(?<!\d)\d{14}(?!\d))"
    r"|(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?: UTC|Z))"
    r"|(?P<duration>(?<![\w.])\d+(?:\.\d+)? (?:ms|s|µs)\b)"
    r"|(?P<process>\bprocess \d+)"
    r"|(?P<user>\b[a-z]\w*@[\w.-]+)"
    r"|(?P<any>…)"
    r"|(?P<blank>\s+)"
)
_PATTERNS = {
    "time": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?: UTC|Z)",
    "duration": r"\d+(?:\.\d+)? (?:ms|s|µs)",
    "process": r"process \d+",
    "user": r"[\w.-]+@[\w.-]+",
    "any": ".*?",
    "blank": r"\s+",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page and the output that the page shows."""

    where: str
    command: str
    expected: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return any(line.startswith("error:") for line in self.expected)


class Shell:
    """A bash session in the directory `home`, run by the command `within` if given; a context manager that ends it with
    all that it started."""

    def __init__(self, home: Path, path: Iterable[Path], *, within: Sequence[str] = ()) -> None:
        self._home = home
        environment = {
            "HOME": str(home),
            "PATH": os.pathsep.join([*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        self._bash = subprocess.Popen(
            [*within, "bash", "--norc", "--noprofile"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )

    def run(self, command: str) -> tuple[str, int]:
        """What a command printed, with the home directory as the pages write it, and its exit code."""
        typed = command.replace(HOME, str(self._home))
        assert self._bash.stdin is not None and self._bash.stdout is not None
        # The group hides the session's own input from the command; the cd and export in it stay in effect.
        self._bash.stdin.write(f"{{\n{typed}\n}} </dev/null\nprintf '\\n%s %d\\n' {_END} $?\n".encode())
        self._bash.stdin.flush()
        lines: list[str] = []
        overdue = threading.Timer(_PATIENCE, self._end)
        overdue.start()
        while True:
            line = self._bash.stdout.readline().decode(errors="surrogateescape")
            assert line, f"the shell ended, or took more than {_PATIENCE} s, in: {command}\n{''.join(lines)}"
            if line.startswith(_END):
                overdue.cancel()
                output = "".join(lines).removesuffix("\n").replace(str(self._home), HOME)
                return output, int(line.split()[1])
            lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()
        self._bash.wait()
        for stream in (self._bash.stdin, self._bash.stdout):
            assert stream is not None
            stream.close()

    def _end(self) -> None:
        try:
            os.killpg(self._bash.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Reading:
    """A page read against a run: remembers which id of the page is which id of the run."""

    def __init__(self, ids: Mapping[str, str] | None = None) -> None:
        self.ids = dict(ids or {})

    def follow(self, shell: Shell, block: Block) -> None:
        """Types every command of a block and compares."""
        for step in steps(block):
            output, code = shell.run(self._typed(step.command))
            shown = "\n".join(step.expected)
            report = f"{step.where}: $ {step.command}\n--- the page shows\n{shown}\n--- the program printed\n{output}\n"
            assert (code != 0) == step.fails, f"{report}--- and its exit code was {code}"
            assert self.fits(step.expected, output), report

    def fits(self, expected: Iterable[str], output: str) -> bool:
        """Whether an output is what the page shows; binds the page's ids to the run's."""
        names: dict[str, str] = {}
        lines = [r"(?:.*\n)*?" if line.strip() == "…" else self._pattern(line, names) + r"\s*\n" for line in expected]
        found = re.fullmatch("".join(lines), output.rstrip("\n") + "\n" if output.strip() else "")
        if found is None:
            return False
        new = {id: found[name] for id, name in names.items()}
        taken = {**self.ids, **new}
        if len(set(taken.values())) != len(taken):
            return False
        self.ids = taken
        return True

    def _typed(self, command: str) -> str:
        return re.sub(r"(?<!\d)\d{14}(?!\d)", lambda match: self.ids.get(match[0], match[0]), command)

    def _pattern(self, line: str, names: dict[str, str]) -> str:
        parts, end = [], 0
        for token in _TOKENS.finditer(line.rstrip()):
            parts.append(re.escape(line[end : token.start()]))
            end = token.end()
            kind = token.lastgroup
            assert kind is not None
            parts.append(_PATTERNS[kind] if kind != "id" else self._id_pattern(token[0], names))
        return "".join([*parts, re.escape(line[end:].rstrip())])

    def _id_pattern(self, id: str, names: dict[str, str]) -> str:
        if id in self.ids:
            return self.ids[id]
        if id in names:
            return f"(?P={names[id]})"
        names[id] = f"id{len(names)}"
        return rf"(?P<{names[id]}>\d{{14}})"


def steps(block: Block) -> list[Step]:
    """The commands of a console block."""
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif line.startswith("> ") and found and not found[-1][2]:
            found[-1][1].append(line[2:])
        else:
            assert found, f"{block}: begins with output"
            found[-1][2].append(line)
    where = f"{block.page.name}:"
    return [Step(f"{where}{number}", "\n".join(typed), tuple(shown)) for number, typed, shown in found]
