"""Commands as a person types them, shown with what they say."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from treeswap.errors import Failed


class Shell:
    """Stands in one directory. `treeswap` is this very program."""

    def __init__(self, console: Console, directory: Path) -> None:
        self._console = console
        self._directory = directory
        theirs = {key: value for key, value in os.environ.items() if not key.startswith("TREESWAP_")}
        self._variables = {
            **theirs,
            "NO_COLOR": "1",
            "COLUMNS": str(console.width - 2),
        }

    def say(self, sentence: str) -> None:
        self._console.print(Text(f"\n{sentence}", style="bold"), soft_wrap=True)

    def run(self, *command: str, exits: int = 0) -> None:
        """Runs it and shows what it says. `Failed` if it ends otherwise than with `exits`."""
        result = self._call(command, merged=True)
        for line in result.stdout.splitlines():
            self._console.print(Text("  " + line, style="dim"), soft_wrap=True)
        if result.returncode != exits:
            raise Failed(f"{shlex.join(command)} ended with {result.returncode}", cause=result.stdout.strip() or None)

    def kept(self, *command: str, file: str) -> str:
        """What it prints, which is shown to go to a file. `Failed` if it fails."""
        self._type(f"{shlex.join(command)} > {shlex.quote(file)}")
        result = self._call(command, merged=False)
        if result.returncode:
            raise Failed(f"{shlex.join(command)} ended with {result.returncode}", cause=result.stderr.strip() or None)
        return result.stdout

    def answer(self, *command: str) -> dict[str, Any]:
        """What `treeswap … --json` answers; not shown."""
        result = self._call(["treeswap", *command, "--json"], merged=False)
        if result.returncode:
            raise Failed(f"treeswap {shlex.join(command)} ended with {result.returncode}", cause=result.stderr.strip())
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    def _type(self, line: str) -> None:
        self._console.print(Text("\n$ ", style="bold green") + Text(line, style="bold"), soft_wrap=True)

    def _call(self, command: Sequence[str], *, merged: bool) -> subprocess.CompletedProcess[str]:
        """Ends the command, and waits for it, if something ends us meanwhile."""
        own = {"treeswap": [sys.executable, "-m", "treeswap"]}
        with subprocess.Popen(
            [*own.get(command[0], [command[0]]), *command[1:]],
            cwd=self._directory,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            try:
                if merged:
                    # Shown when there is something to end: who reads it may interrupt us at once.
                    self._type(shlex.join(command))
                out, err = process.communicate()
            except BaseException:
                process.terminate()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err or "")
