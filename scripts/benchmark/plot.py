"""The figures as an SVG file: seconds by step for each contender, and how seconds and memory grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from .figures import FIRST, PERCENT, SAME, STEPS, TEN, Race
from .page import RSYNCS, TREESWAP, growing

_WIDTH, _LEFT, _GAP = 1240, 40, 20
_PANEL_WIDTH = (_WIDTH - 2 * _LEFT - _GAP) / 2
_NAMES = 130  # the width that contenders' names take
_ROW, _GROWTH = 26, 250
_INK, _SOFT, _LINE, _PAPER, _PANEL = "#1c2430", "#667085", "#d5dae2", "#f4f5f8", "#ffffff"
_COLOURS = {TREESWAP: "#12876f", RSYNCS[0]: "#3566b0", RSYNCS[1]: "#7aa0d8"}
_OTHER = "#a8b0bd"
_STEPS = (FIRST, SAME, PERCENT, TEN)
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"

Point = tuple[float, float]


def draw(races: Sequence[Race]) -> str:
    """The bars show the input with the most contenders, the largest of them; the lines show those that
    differ in size only."""
    shown = max(races, key=lambda race: (_takers(race) > len(_COLOURS), race.size))
    title = f"{shown.title}: {shown.size:,} files"
    body = [
        _text(_LEFT, 52, title, size=24, weight=700),
        _text(_LEFT, 78, "seconds, whole commands; bar: median, line: smallest to largest", fill=_SOFT),
    ]
    y = 96.0
    height = 44 + _ROW * max(1, _takers(shown)) + 12
    for number, step in enumerate(_STEPS):
        body += _bars(shown, step, _LEFT + (number % 2) * (_PANEL_WIDTH + _GAP), y, height)
        y += (height + _GAP) * (number % 2)
    ordered = growing(races)
    if ordered:
        body += _growth("Seconds by files, 1 % changed (both scales logarithmic)", ordered, _median, _LEFT, y)
        body += _growth(
            "Peak memory by files, MB, without first copies", ordered, _memory, _LEFT + _PANEL_WIDTH + _GAP, y
        )
        y += _GROWTH + _GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" width="{_WIDTH}" height="{y:.0f}"'
            f' font-family="{_FONT}" font-size="13" fill="{_INK}">',
            f"<title>{escape(title)}</title>",
            _box(0, 0, _WIDTH, y, _PAPER),
            *body,
            "</svg>",
            "",
        ]
    )


def _takers(race: Race) -> int:
    return len(_those_with(race, *_STEPS))


def _those_with(race: Race, *steps: str) -> list[str]:
    return [name for name in race.contenders if any(race.seconds(name, step) for step in steps)]


def _bars(race: Race, step: str, x: float, y: float, height: float) -> Iterator[str]:
    yield _box(x, y, _PANEL_WIDTH, height, _PANEL, stroke=_LINE)
    yield _text(x + 16, y + 27, step, size=15, weight=600)
    found = [(name, spread) for name in _those_with(race, step) if (spread := race.seconds(name, step))]
    most = max((spread.most for _, spread in found), default=1.0)
    left, width = x + _NAMES, _PANEL_WIDTH - _NAMES - 80
    for number, (name, spread) in enumerate(found):
        row = y + 44 + number * _ROW
        until = width * spread.median / most
        yield _text(left - 10, row + 14, name, anchor="end")
        yield _box(left, row, max(until, 1), 18, _colour(name), kind="bar")
        low, high = (left + width * end / most for end in (spread.least, spread.most))
        yield f'<path d="M{low:.1f} {row + 9}H{high:.1f}" stroke="{_INK}" stroke-width="1.2"/>'
        yield _text(max(high, left + until) + 6, row + 14, f"{spread.median:.2f}", fill=_SOFT)


def _growth(
    title: str, races: Sequence[Race], measure: Callable[[Race, str], float | None], x: float, y: float
) -> Iterator[str]:
    yield _box(x, y, _PANEL_WIDTH, _GROWTH, _PANEL, stroke=_LINE)
    yield _text(x + 16, y + 27, title, size=15, weight=600)
    lines: dict[str, list[Point]] = {}
    for name in (TREESWAP, *RSYNCS):
        lines[name] = [(race.size, value) for race in races if (value := measure(race, name))]
    points = [point for line in lines.values() for point in line]
    if not points:
        return
    across = _scale([size for size, _ in points], x + 60, x + _PANEL_WIDTH - 110)
    up = _scale([value for _, value in points], y + _GROWTH - 40, y + 50)
    for size in sorted({size for size, _ in points}):
        yield _text(across(size), y + _GROWTH - 16, f"{size / 1000:,.0f}k", fill=_SOFT, anchor="middle")
    for value in (min(value for _, value in points), max(value for _, value in points)):
        yield _text(x + 50, up(value) + 4, f"{value:.3g}", fill=_SOFT, anchor="end")
    below = 0.0  # where the label before ended: they must not lie on each other
    for name, line in sorted(lines.items(), key=lambda named: up(named[1][-1][1]) if named[1] else 0):
        if not line:
            continue
        path = " ".join(f"{across(size):.1f},{up(value):.1f}" for size, value in line)
        yield f'<polyline points="{path}" fill="none" stroke="{_colour(name)}" stroke-width="2"/>'
        for size, value in line:
            yield f'<circle cx="{across(size):.1f}" cy="{up(value):.1f}" r="3.5" fill="{_colour(name)}"/>'
        below = max(up(line[-1][1]) + 4, below + 15)
        yield _text(across(line[-1][0]) + 9, below, name, fill=_colour(name))


def _median(race: Race, name: str) -> float | None:
    spread = race.seconds(name, PERCENT)
    return spread.median if spread else None


def _memory(race: Race, name: str) -> float | None:
    peak = race.peak(name, *STEPS[1:])
    return peak / 1e6 if peak else None


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = math.log(min(values)), math.log(max(values))

    def at(value: float) -> float:
        return start + (end - start) * ((math.log(value) - low) / (high - low) if high > low else 0.5)

    return at


def _colour(name: str) -> str:
    return _COLOURS.get(name, _OTHER)


def _box(x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "none", kind: str = "") -> str:
    role = f' class="{kind}"' if kind else ""
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect{role} {shape} rx="3" fill="{fill}" stroke="{stroke}"/>'


def _text(
    x: float, y: float, words: str, *, size: int = 13, weight: int = 400, fill: str = _INK, anchor: str = "start"
) -> str:
    look = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'
