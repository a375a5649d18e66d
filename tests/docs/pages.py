"""The pages of the documentation, taken apart: headings, fenced blocks, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"```(\w*)")
_HEADING = re.compile(r"(#+) (.+)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, its language, and the heading that it is under."""

    page: Path
    line: int
    language: str
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str

    @property
    def anchor(self) -> str:
        """What a link to it ends in."""
        words = re.sub(r"[^\w\- ]", "", self.text.lower())
        return words.replace(" ", "-")


def pages() -> list[Path]:
    """Every page that a user may read."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page, of these languages or of all."""
    return [block for block in _blocks(page) if not languages or block.language in languages]


def headings(page: Path) -> list[Heading]:
    return [Heading(len(m[1]), m[2].strip()) for line in prose(page) if (m := _HEADING.fullmatch(line))]


def prose(page: Path) -> list[str]:
    """The lines of a page that stand in no fenced block."""
    lines, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def section(page: Path, title: str) -> list[str]:
    """The prose under a heading, up to the next of its level or above."""
    level, lines = 0, []
    for line in prose(page):
        found = _HEADING.fullmatch(line)
        if level and found and len(found[1]) <= level:
            break
        if level:
            lines.append(line)
        elif found and found[2].strip() == title:
            level = len(found[1])
    assert level, f"{page.name} has no heading {title!r}"
    return lines


def rows(lines: list[str]) -> list[list[str]]:
    """The rows of the tables in these lines, headers left out."""
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if all(set(cell) <= {"-", ":"} for cell in cells):
                found.pop()
            else:
                found.append(cells)
    return found


def code(text: str) -> list[str]:
    """What stands between backticks."""
    return _CODE.findall(text)


def links(page: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("", " ".join(prose(page))))


def _blocks(page: Path) -> Iterator[Block]:
    language: str | None = None
    heading, start, lines = "", 0, [""]
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if language is None:
            if found := _HEADING.fullmatch(line):
                heading = found[2].strip()
            if fence := _FENCE.match(line):
                language, start, lines = fence[1], number, []
        elif line.startswith("```"):
            yield Block(page, start, language, heading, "\n".join(lines))
            language = None
        else:
            lines.append(line)
    assert language is None, f"{page.name}:{start}: the block has no end"
