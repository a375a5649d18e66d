"""Values as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def printable(text: str) -> str:
    """Text that cannot move the cursor or break the encoder: control characters and stray bytes are spelt out."""
    return text if text.isprintable() else _spelt(text, keep="\n\t")


def name(text: object) -> str:
    """A path or other name on one line."""
    text = str(text)
    return text if text.isprintable() else _spelt(text)


def command_line(words: Iterable[str]) -> str:
    """Words as a shell takes them, names with any bytes included."""
    return " ".join(map(_shell_word, words))


def when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """Bytes, in units of a thousand."""
    number = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def seconds(duration: float) -> str:
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest} s"


def count(number: int, one: str) -> str:
    """`1 file`, `2 files`, `2 copies`."""
    if number == 1:
        return f"1 {one}"
    return f"{number:,} {one[:-1] + 'ies' if one.endswith('y') else one + 's'}"


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Rows in columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join((indent + line).rstrip() for line in lines)


def _shell_word(word: str) -> str:
    if word.isprintable():
        import shlex

        return shlex.quote(word)
    return "$'" + _spelt(word.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def _spelt(text: str, keep: str = "") -> str:
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if short := {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character):
        return short
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
