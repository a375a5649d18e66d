"""A small world of directories, and the program run in it as a person runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("treeswap", path=str(Path(sys.executable).parent)) or "treeswap"


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        assert value["version"] == 1
        assert value["exit"] == self.code
        assert value["ok"] == (self.code == 0)
        assert (value["error"] is None) == value["ok"]
        return value


class World:
    """`b/NAME` are sources, `srv/NAME` public paths, `srv/.treeswap/NAME` the site that a first copy makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "srv").mkdir()
        (root / "home").mkdir()

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if "TREESWAP" not in key and key != "NO_COLOR"}
        return {**kept, "HOME": str(self.root / "home")}

    def tree(self, directory: str, files: Mapping[str, str]) -> Path:
        """A directory with exactly these files."""
        path = self.root / directory
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        return path

    def run(
        self, *words: str | bytes, cwd: str | Path = ".", env: Mapping[str, str] | None = None, exits: int | None = 0
    ) -> Result:
        """Runs treeswap. Its exit code must be `exits`, if that is given."""
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=self.root / cwd,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        result = Result(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))
        if exits is not None:
            assert result.code == exits, f"{words}: {result}"
        return result

    def deploy(self, text: str, *words: str) -> str:
        """Copies one tree, `apps`, whose file `a` has this text; gives the release's id."""
        self.tree("b/apps", {"a": text})
        id = self.run("copy", "--json", "b/apps:srv/apps", *words).json["release"]
        assert isinstance(id, str)
        return id

    def shows(self, tree: str = "apps", file: str = "a") -> str:
        return (self.root / "srv" / tree / file).read_text()
