"""Apache's configuration files as directives, includes followed and defined variables put in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .asking import matching, text_of
from .directive import DEEPEST, Directive

_WORD = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|(\S+)')
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_CONDITIONS = ("ifmodule", "ifdefine", "ifversion", "ifdirective", "iffile", "if", "ifsection")


@dataclass(slots=True)
class Reading:
    """What reading has come to: where relative names begin, and what was defined."""

    root: Path
    defined: dict[str, str] = field(default_factory=dict)
    depth: int = 0

    def file(self, file: Path) -> tuple[Directive, ...]:
        """The directives of a file and all that it includes. `Unreadable`."""
        return tuple(self._block(_lines(text_of(file)), file, ""))

    def _block(self, lines: Iterator[tuple[int, str]], file: Path, ends: str) -> Iterator[Directive]:
        """Up to the end of the section `ends`. Conditions are taken to hold, but for what asks for a module's lack."""
        for number, text in lines:
            if text.startswith("</"):
                if text[2:].rstrip("> ").lower() == ends:
                    return
                continue
            words = self._words(text.strip("<>") if text.startswith("<") else text)
            if not words:
                continue
            if text.startswith("<"):
                inner = tuple(self._block(lines, file, words[0]))
                if words[0] not in _CONDITIONS:
                    yield Directive(words, file, number, inner)
                elif not (len(words) > 1 and words[1].startswith("!")):
                    yield from inner
            elif words[0] in ("include", "includeoptional") and len(words) == 2 and self.depth < DEEPEST:
                yield from self._included(words)
            elif words[0] == "serverroot" and len(words) == 2:
                self.root = Path(words[1])
            elif words[0] == "define" and len(words) > 1:
                self.defined[words[1]] = words[2] if len(words) > 2 else ""
            else:
                yield Directive(words, file, number)

    def _included(self, words: tuple[str, ...]) -> Iterator[Directive]:
        self.depth += 1
        for path in matching(str(self.root / words[1])):
            if path.is_dir():
                for inner in sorted(path.rglob("*")):
                    if inner.is_file():
                        yield from self.file(inner)
            elif words[0] == "include" or path.exists():
                yield from self.file(path)
        self.depth -= 1

    def _words(self, text: str) -> tuple[str, ...]:
        filled = _VARIABLE.sub(lambda match: self.defined.get(match[1], match[0]), text)
        words = [double or single or bare for double, single, bare in _WORD.findall(filled)]
        return (words[0].lower(), *words[1:]) if words else ()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number; continued ones as one, comments and empty ones left out."""
    begun, number = "", 0
    for at, line in enumerate(text.splitlines(), 1):
        number = number if begun else at
        if line.endswith("\\"):
            begun += line[:-1]
            continue
        whole, begun = (begun + line).strip(), ""
        if whole and not whole.startswith("#"):
            yield number, whole
