"""The bakery's site: three trees in three places, and what may happen to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from treeswap.config import load

TREES = ("apps", "conf", "media")


class Bakery:
    """A site in `home`: SITE at bakery/, public paths in live/, sources and treeswap.toml in build/.

    `deployed` are the versions that it begins with; `trees_dir` is where the versions of media are, if not in SITE.
    """

    def __init__(self, home: Path, *, deployed: Sequence[str] = (), trees_dir: Path | None = None) -> None:
        self.home = home
        self.site = home / "bakery"
        self.build = home / "build"
        self.config = self.build / "treeswap.toml"
        for tree in TREES:
            (self.build / tree).mkdir(parents=True)
        (home / "live").mkdir()
        lines = [f'deploy_to = "{self.site}"']
        for tree in TREES:
            lines += [f"[trees.{tree}]", f'source = "{tree}"', f'path = "{self.public(tree)}"']
        if trees_dir is not None:
            lines.append(f'trees_dir = "{trees_dir}"')
        self.config.write_text("\n".join(lines) + "\n")
        for version in deployed:
            self.deploy(version)

    # ------------------------------------------------------------ what is there

    def public(self, tree: str) -> Path:
        return self.home / "live" / tree

    def shown(self) -> str:
        """What visitors see, tree by tree."""
        return " ".join((self.public(tree) / "version").read_text().strip() for tree in TREES)

    def ids(self) -> list[str]:
        """The releases that have a record, oldest first."""
        return sorted(path.stem for path in (self.site / ".treeswap/records").glob("*.json"))

    def current(self) -> str:
        return os.readlink(self.site / "current").removeprefix("releases/")

    # ------------------------------------------------------------ what happens to it

    def write(self, version: str, trees: Sequence[str] = TREES) -> None:
        """Makes the sources this version."""
        for tree in trees:
            (self.build / tree / "version").write_text(f"{version}\n")

    def deploy(self, version: str) -> None:
        self.write(version)
        config = load(self.config, None, {})
        config.site().deploy(config.request())

    def share(self, version: str, tree: str, path: str) -> None:
        """A deploy that makes a path of a tree shared."""
        self.write(version)
        config = load(self.config, None, {})
        request = config.request()
        shared = replace(request.trees[tree], shared=(path,))
        config.site().deploy(replace(request, trees={**request.trees, tree: shared}))

    def run(self, *words: str, exits: int = 0) -> str:
        """Runs the program on this site; gives what it printed."""
        command = [sys.executable, "-m", "treeswap", "--site", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == exits, f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def killed(self, when: str, point: str, *words: str, number: int = 1) -> None:
        """Runs the program, and sees it die `before` or `after` the N-th call of a function."""
        dying = str(Path(__file__).with_name("dying.py"))
        command = [sys.executable, dying, when, point, str(number), "--site", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, f"{words} was not killed at {point}: {done.stdout}{done.stderr}"

    @contextmanager
    def deploying(self, version: str) -> Iterator[None]:
        """A deploy that stands still while it stages, for as long as the block lasts."""
        self.write(version)
        gate = self.home / "gate"
        os.mkfifo(gate)
        command = [sys.executable, "-c", _STANDING_STILL, str(gate), "--site", str(self.config), "deploy"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                with os.fdopen(os.open(gate, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as opened:
                    while opened.read(1) != b"!":
                        assert process.poll() is None, "the deploy ended before it staged"
                        time.sleep(0.02)
                yield
            finally:
                process.kill()


_STANDING_STILL = """
import signal, sys
from pathlib import Path
from treeswap import stage
from treeswap.cli.program import run

def place(*args, **kw):
    Path(sys.argv[1]).write_text("!")
    signal.pause()

stage.place = place
sys.exit(run(sys.argv[2:]))
"""
