"""What a definition becomes for one unit: the words, environment, directory and socket of a running program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from treeswap.errors import ConfigError
from treeswap.layout import Layout
from treeswap.process import LONGEST_SOCKET, Process, fill, words

from . import envfile
from .seam import Unit


@dataclass(frozen=True, slots=True)
class Running:
    """A process in one release. `trees` are the real directories of the release's versions."""

    process: Process
    unit: Unit
    trees: Mapping[str, Path]

    @property
    def directory(self) -> Path:
        """Where it runs: a real path, so that no later switch moves it."""
        tree = self.process.tree
        return Layout(self.unit.site).release(self.unit.release) if tree is None else self.trees[tree]

    @property
    def socket(self) -> Path:
        return socket_path(self.unit)

    def words(self) -> list[str]:
        """The program and its arguments. They are split before they are filled in: a path stays one word."""
        where = f"processes.{self.process.name}.command"
        return [self._filled(word, where) for word in words(self.process.command, where)]

    def health_words(self) -> list[str] | None:
        """The command that sees whether it is healthy, where that is how it is seen."""
        if (command := self.process.health_command) is None:
            return None
        where = f"processes.{self.process.name}.health"
        return [self._filled(word, where) for word in words(command, where)]

    def environment(self) -> dict[str, str]:
        """What is added to the environment: that of the files, in their order, over it the definition's own, over it
        what treeswap says. PWD is not among it, and has to go: programs believe it before they ask the system."""
        where = f"processes.{self.process.name}"
        added = {"PYTHONDONTWRITEBYTECODE": "1"}
        for file in self.process.env_files:
            added |= envfile.read(self.directory / self._filled(file, f"{where}.env_files"))
        added |= {name: self._filled(text, f"{where}.env.{name}") for name, text in self.process.env.items()}
        added |= {
            "TREESWAP_SITE": str(self.unit.site),
            "TREESWAP_RELEASE": str(Layout(self.unit.site).release(self.unit.release)),
            "TREESWAP_RELEASE_ID": self.unit.release,
        }
        return added | ({"TREESWAP_SOCKET": str(self.socket)} if self.process.has_socket else {})

    def _filled(self, text: str, where: str) -> str:
        trees = {name: str(path) for name, path in self.trees.items()}
        fixed = {
            "release": str(Layout(self.unit.site).release(self.unit.release)),
            "socket": str(self.socket),
            "site": str(self.unit.site),
            "instance": str(self.unit.instance),
        }
        return fill(text, trees | fixed, where)


def socket_path(unit: Unit) -> Path:
    """SITE/run/ID/NAME.sock; from the second instance on, SITE/run/ID/NAME.N.sock. `ConfigError` where the path is
    longer than a socket's may be."""
    number = "" if unit.instance == 1 else f".{unit.instance}"
    path = Layout(unit.site).run(unit.release) / f"{unit.process}{number}.sock"
    if (length := len(os.fsencode(path))) > LONGEST_SOCKET:
        raise ConfigError(
            f"processes.{unit.process}: its socket {path} would have a path of {length} bytes, and the system allows "
            f"{LONGEST_SOCKET}",
            hint=f"a deploy_to or a name that is {length - LONGEST_SOCKET} bytes shorter",
        )
    return path
