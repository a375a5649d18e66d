"""A page that is typed from top to bottom, blocks that are files included, with some of its alternatives.

A block whose first line is `# ~/FILE` is that file from then on; with `, at its end` it is added to it. Under a heading
that begins with `Either` or `Or` stands an alternative.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from .console import HOME, Reading, Shell
from .pages import Block, blocks

_FILE = re.compile(r"# ~/(?P<path>[\w./-]+)(?P<added>, at its end)?")


class Elsewhere(Shell):
    """A session in which the ports of the page are others."""

    def __init__(self, home: Path, path: Iterable[Path], ports: Mapping[str, int], *, within: Sequence[str]) -> None:
        super().__init__(home, path, within=within)
        self.ports = ports

    def run(self, command: str) -> tuple[str, int]:
        output, code = super().run(self.moved(command))
        for told, port in self.ports.items():
            output = output.replace(f":{port}", f":{told}")
        return output, code

    def moved(self, text: str) -> str:
        """A text of the page with its ports replaced."""
        for told, port in self.ports.items():
            text = re.sub(rf"(?<!\d){told}(?!\d)", str(port), text)
        return text


class Typist:
    """Does what a page says, in the directory `home`."""

    def __init__(self, home: Path, shell: Elsewhere) -> None:
        self._home, self._shell, self._reading = home, shell, Reading()

    def do(self, block: Block) -> None:
        if block.language == "console":
            self._reading.follow(self._shell, block)
        else:
            self._put(block)

    def _put(self, block: Block) -> None:
        found = _FILE.fullmatch(block.text.partition("\n")[0])
        assert found, f"{block}: its first line names no file"
        file = self._home / found["path"]
        before = file.read_text() + "\n" if found["added"] else ""
        file.write_text(before + self._shell.moved(block.text).replace(HOME, str(self._home)) + "\n")


def alternatives(page: Path) -> set[str]:
    return {block.heading for block in blocks(page) if block.heading.startswith(("Either ", "Or "))}


def chosen(page: Path, taken: Collection[str]) -> list[Block]:
    """The blocks of a page, those of alternatives that are not taken left out."""
    left_out = alternatives(page) - set(taken)
    return [block for block in blocks(page) if block.heading not in left_out]
