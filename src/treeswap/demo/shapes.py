"""Boxes and words of an SVG file, and the colours that they have."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from .picture import COLOURS

INK, SOFT, LINE, PAPER, PANEL = "#1c2430", "#667085", "#d5dae2", "#f4f5f8", "#ffffff"
GOOD, BAD = "#12876f", "#c62f2f"


def colour_of(version: str) -> str:
    return COLOURS.get(version, SOFT)


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    *,
    radius: int = 8,
    stroke: str = "none",
    opacity: float = 1,
    title: str = "",
) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"'
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect {shape} fill="{fill}" fill-opacity="{opacity}" stroke="{stroke}">{inside}</rect>'


def text(
    x: float, y: float, words: str, *, size: int, weight: int = 400, fill: str = INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill={quoteattr(fill)}'
        f' text-anchor="{anchor}">{escape(words)}</text>'
    )
