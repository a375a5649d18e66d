"""A machine of its own that systemd boots: a container over an image that scripts/test-container makes, in an overlay
of which nothing stays. Who cannot have one is skipped, with the reason; where `CI` is `true` that is a failure instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filesystems import CannotMount, mounted, unmount

SCRIPT = Path(__file__).parent.parent / "scripts/test-container"
_PATIENCE = 60.0
_DYING_WITH_US = ["setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Begins a command that ends when this process does, and everything with it: the first process of a container would
outlive a killed systemd-nspawn, but not the namespace that both are in."""
MANAGING = ("treeswap", "supervisor")
"""What a process manager needs to run; all of it is Python that any version runs."""
ALL = (*MANAGING, "click", "rich", "pathspec", "markdown_it", "mdurl", "pygments")
"""What treeswap needs to run."""


class Container:
    """One that can be started. `root` is its / as the host sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._said = root.parent / "said"

    def outside(self, path: Path) -> Path:
        """A path of the container as the host sees it."""
        return self.root / path.relative_to("/")

    def command(self, *words: str, user: str | None = None) -> list[str]:
        """The words that run a command in the container, as root or as a user of it."""
        became = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        clean = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        return ["nsenter", f"--target={self._leader()}", "--all", *clean, *became, *words]

    def run(self, *words: str, user: str | None = None) -> str:
        done = subprocess.run(self.command(*words, user=user), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Returns when systemd has booted."""
        # Where systemd is not the host's own there is nobody to ask for a scope.
        scope = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        name = f"--machine=treeswap-{os.getpid()}"
        quiet = ["--register=no", "--private-network", "--console=pipe", "--quiet", *scope]
        with self._said.open("ab") as said:
            self._running = subprocess.Popen(
                [*_DYING_WITH_US, "systemd-nspawn", "--boot", f"--directory={self.root}", name, *quiet],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self._running.poll() is None and time.monotonic() < deadline, self._said.read_text(errors="replace")
            time.sleep(0.05)
        waiting = self.command("systemctl", "is-system-running", "--wait")
        told = subprocess.run(waiting, capture_output=True, text=True, timeout=_PATIENCE).stdout.strip()
        assert told in ("running", "degraded"), told

    def stop(self) -> None:
        """It is shut down, as by its power button."""
        os.kill(self._nspawn(), signal.SIGTERM)
        try:
            self._running.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.cut_power()

    def cut_power(self) -> None:
        """Nothing in it gets to end."""
        os.kill(self._nspawn(), signal.SIGKILL)
        self._running.wait()

    def _nspawn(self) -> int:
        return _child(self._running.pid)

    def _leader(self) -> int:
        """Its first process."""
        return _child(self._nspawn())

    def _answers(self) -> bool:
        try:
            asked = subprocess.run(self.command("systemctl", "show", "--property=Version"), capture_output=True)
        except OSError:
            return False
        return asked.returncode == 0


def _child(pid: int) -> int:
    """The only child of a process; `ProcessLookupError` where there is none."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    except (OSError, ValueError) as error:
        raise ProcessLookupError(f"{pid} has no child") from error


@contextmanager
def booted() -> Iterator[Container]:
    """A container whose systemd has booted. Raises `CannotMount`."""
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            raise CannotMount(f"{program} is not installed")
    if os.geteuid() != 0:
        raise CannotMount("only root can boot a container")
    made = subprocess.run([str(SCRIPT)], capture_output=True, text=True)
    if made.returncode != 0:
        raise CannotMount(f"{SCRIPT.name}: {made.stderr.strip()}")
    with mounted("tmpfs") as room:
        container = Container(room / "root")
        for name in ("root", "upper", "work"):
            (room / name).mkdir()
            (room / name).chmod(0o755)
        layers = f"lowerdir={made.stdout.strip()},upperdir={room / 'upper'},workdir={room / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(container.root)], check=True)
        try:
            container.start()
            try:
                yield container
            finally:
                container.stop()
        finally:
            unmount(container.root)


def fill(environment: Path, packages: Sequence[str] = ALL) -> None:
    """Gives a virtual environment without pip these packages, as the tests themselves run with them."""
    (target,) = environment.glob("lib/python3*/site-packages")
    for package in packages:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.submodule_search_locations, f"{package} is not installed"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(spec.submodule_search_locations[0], target / package, ignore=ignore)
