"""The picture as an SVG file: the counts, the requests by release, a time line for each reader, and one switch from
close up."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from .picture import EXPLANATION, CloseUp, Figure, Picture, close_up
from .shapes import BAD, GOOD, INK, LINE, PANEL, PAPER, SOFT, box, colour_of, text
from .tracks import SLICE, Look, Track

_WIDTH = 1240
_LEFT, _RIGHT = 150, 1200  # where time begins and ends
_ROW, _GAP = 30, 9
_LANE = 20
_RELEASES = 5  # in a line
_HEIGHT = 120  # of the requests
_COLUMN = 5  # slices of time in a column of them
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"


def draw(picture: Picture) -> str:
    """The whole file."""
    body: list[str] = []
    y = 0
    for part in (_head, _figures, _requests, _time_line, _releases, _close_up, _foot):
        lines, height = part(picture, y)
        body += lines
        y += height
    counts = ", ".join(f"{figure.count} {figure.what}" for tile in picture.figures for figure in tile)
    title = f"treeswap demo. {picture.subtitle}. {counts}."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
            f' font-family="{_FONT}" font-size="14" fill="{INK}">',
            f"<title>{escape(title)}</title>",
            box(0, 0, _WIDTH, y, PAPER, radius=0),
            *body,
            "</svg>",
            "",
        ]
    )


Drawn = tuple[list[str], int]
Scale = Callable[[float], float]


def _head(picture: Picture, y: int) -> Drawn:
    return [
        text(40, y + 58, "Several directory trees, one atomic change", size=28, weight=700),
        text(40, y + 86, picture.subtitle + ".", size=15, fill=SOFT),
    ], 108


def _figures(picture: Picture, y: int) -> Drawn:
    """The counts as tiles, those of requests above the others."""
    lines: list[str] = []
    top = y
    for tiles in (picture.figures[:1], picture.figures[1:]):
        lines += _tiles(tiles, top)
        top += 82 + 12
    return lines, top - y + 10


def _tiles(tiles: Sequence[tuple[Figure, ...]], y: int) -> Iterator[str]:
    """What must be nought is green when it is, and red when it is not."""
    columns = [[_column(figure) for figure in tile] for tile in tiles]
    spare = (_WIDTH - 80 - 12 * (len(tiles) - 1) - sum(width for tile in columns for _, width in tile)) / len(tiles)
    left = 40.0
    for tile in columns:
        right = left + spare + sum(width for _, width in tile)
        yield box(left, y, right - left, 82, PANEL, stroke=LINE)
        between = spare / len(tile)
        x = left + between / 2 + 12
        for figure, width in tile:
            fill = INK if not figure.must_be_nought else BAD if figure.count else GOOD
            yield text(x, y + 42, f"{figure.count:,}", size=25, weight=700, fill=fill)
            yield text(x, y + 63, figure.what, size=12, fill=SOFT)
            x += width + between
        left = right + 12


def _column(figure: Figure) -> tuple[Figure, float]:
    """With the width that it takes, by the usual width of letters and digits at these sizes."""
    return figure, max(16.5 * len(f"{figure.count:,}"), 6.9 * len(figure.what)) + 24


def _requests(picture: Picture, y: int) -> Drawn:
    """Requests a second over time, each release's share in its colour; above them what was done when."""
    top, bottom = y + 58, y + 58 + _HEIGHT
    at = _scale(picture)
    width = _COLUMN * SLICE
    columns: dict[int, Counter[str]] = {}
    for number, answered in picture.requests.items():
        columns.setdefault(number // _COLUMN, Counter()).update(answered)
    most = max((sum(column.values()) for column in columns.values()), default=1)
    lines = [
        box(40, y, _WIDTH - 80, bottom + 14 - y, PANEL, stroke=LINE),
        text(_LEFT - 14, top + 10, f"{most / width:,.0f} / s", size=12, fill=SOFT, anchor="end"),
        text(_LEFT - 14, bottom - 40, "requests", size=13, anchor="end"),
    ]
    order = {version: number for number, version in enumerate(picture.releases)}
    for number, column in sorted(columns.items()):
        left, right = max(at(number * width), _LEFT), min(at((number + 1) * width), _RIGHT - 20)
        floor = float(bottom)
        for version in sorted(column, key=lambda version: order.get(version, -1)):
            height = column[version] / most * _HEIGHT
            floor -= height
            what = f"{column[version]} requests were answered by version {version}"
            lines.append(box(left, floor, right - left, height, colour_of(version), radius=0, title=what))
    for number, switch in enumerate(picture.verdict.switches):
        x = at(switch.at)
        lines.append(
            f'<line class="move" x1="{x:.1f}" y1="{top - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{INK}"'
            ' stroke-width="1" stroke-dasharray="3 3"/>'
        )
        lines.append(text(x, y + 22 + 17 * (number % 2), switch.move.label, size=12, weight=600, anchor="middle"))
    return lines, bottom + 14 - y + 14


def _scale(picture: Picture) -> Scale:
    return lambda moment: _LEFT + (moment - picture.began) / picture.seconds * (_RIGHT - 20 - _LEFT)


def _time_line(picture: Picture, y: int) -> Drawn:
    top = y + 20
    bottom = top + len(picture.readers) * (_ROW + _GAP)
    lines = [box(40, y, _WIDTH - 80, bottom + 34 - y, PANEL, stroke=LINE)]
    at = _scale(picture)
    for number, track in enumerate(picture.readers):
        lines += _row(picture, track, top + number * (_ROW + _GAP), at)
    for switch in picture.verdict.switches:
        x = at(switch.at)
        lines.append(
            f'<line class="switch" x1="{x:.1f}" y1="{y + 12}" x2="{x:.1f}" y2="{bottom - _GAP + 5}" stroke="{INK}"'
            ' stroke-width="1.4" stroke-dasharray="3 3"/>'
        )
    step = next(step for step in (1, 2, 5, 10, 20, 60, 600) if picture.seconds / step <= 15)
    for second in range(0, int(picture.seconds) + 1, step):
        label = f"{second} s" if second else "0"
        lines.append(text(at(picture.began + second), bottom + 18, label, size=12, fill=SOFT, anchor="middle"))
    return lines, bottom + 34 - y + 14


def _row(picture: Picture, track: Track, y: int, at: Scale) -> Iterator[str]:
    yield text(_LEFT - 14, y + _ROW / 2 + 5, track.name, size=13, anchor="end")
    yield box(_LEFT, y, _RIGHT - 20 - _LEFT, _ROW, "#e9ecf1", radius=3)
    ends = [stretch.first_ended for stretch in track.stretches[1:]] + [picture.ended]
    for stretch, end in zip(track.stretches, ends, strict=True):
        left, right = at(max(stretch.first_ended, picture.began)), at(end)
        what = f"{track.name} saw version {stretch.version}"
        yield box(left, y, max(right - left, 0.5), _ROW, colour_of(stretch.version), radius=0, title=what)
        if right - left > 24:
            middle = (left + right) / 2
            yield text(middle, y + _ROW / 2 + 5, stretch.version, size=14, weight=700, fill="#fff", anchor="middle")
    for moment in track.straddled:
        x, middle = at(moment), y + _ROW / 2
        yield (
            f'<path class="straddled" d="M{x:.1f} {middle - 6}l5 6l-5 6l-5-6Z" fill="#fff" stroke="{INK}"'
            ' stroke-width="1.4"><title>this pass straddled the switch</title></path>'
        )


def _releases(picture: Picture, y: int) -> Drawn:
    """Which colour is which release, and what the marks mean."""
    lines, x = [], 40
    for number, (version, release) in enumerate(picture.releases.items()):
        if number and number % _RELEASES == 0:
            x, y = 40, y + 28
        lines.append(box(x, y, 20, 20, colour_of(version), radius=3))
        lines.append(text(x + 10, y + 15, version, size=12, weight=700, fill="#fff", anchor="middle"))
        lines.append(text(x + 27, y + 15, release, size=12, fill=SOFT))
        x += 27 + 8 * len(release) + 24
    lines.append(
        f'<path d="M{x + 10} {y + 4}l5 6l-5 6l-5-6Z" fill="#fff" stroke="{INK}" stroke-width="1.4"/>'
        + text(x + 24, y + 15, "a pass that straddled the switch", size=12, fill=SOFT)
    )
    return lines, 44 + 28 * ((len(picture.releases) - 1) // _RELEASES)


def _close_up(picture: Picture, y: int) -> Drawn:
    """Single lookups, in the microseconds around one switch: a lane for each tree, a block for each lookup."""
    found = close_up(picture)
    if found is None:
        return [], 0
    left_edge, right_edge = _LEFT + 70, _RIGHT - 20
    top = y + 60
    height = len(picture.trees) * (_LANE + 4) + 14
    bottom = top + height * len(found.caught)
    lines = [
        box(40, y, _WIDTH - 80, bottom + 30 - y, PANEL, stroke=LINE),
        text(60, y + 30, f"From close up: {found.switch.move.label}", size=15, weight=700),
    ]

    def at(moment: float) -> float:
        x = (left_edge + right_edge) / 2 + (moment - found.switch.at) / found.half * (right_edge - left_edge) / 2
        return min(max(x, left_edge), right_edge)

    for track, change in found.caught:
        lines.append(text(60, top + height / 2 - 4, track.name, size=13))
        for number, tree in enumerate(picture.trees):
            lane = top + number * (_LANE + 4)
            lines.append(text(left_edge - 14, lane + 15, tree, size=12, fill=SOFT, anchor="end"))
            lines.append(box(left_edge, lane, right_edge - left_edge, _LANE, "#f0f2f5", radius=3))
        lines += _blocks(found, change, top, at)
        top += height
    x = at(found.switch.at)
    lines.append(
        f'<line x1="{x:.1f}" y1="{y + 46}" x2="{x:.1f}" y2="{bottom - 8}" stroke="{INK}" stroke-width="1.6"'
        ' stroke-dasharray="3 3"/>'
    )
    lines.append(text(x, y + 38, "the rename", size=12, weight=600, anchor="middle"))
    for part, anchor in ((-1, "start"), (-0.5, "middle"), (0.5, "middle"), (1, "end")):
        label = f"{abs(part) * found.half * 1e6:.0f} µs {'before' if part < 0 else 'after'}"
        lines.append(
            text(at(found.switch.at + part * found.half), bottom + 12, label, size=12, fill=SOFT, anchor=anchor)
        )
    return lines, bottom + 30 - y + 14


def _blocks(found: CloseUp, change: Sequence[Look], top: float, at: Scale) -> Iterator[str]:
    """A block lasts until the next lookup begins, but not longer than lookups take: then the reader waited for a
    processor, which is drawn pale."""
    for look, following in pairwise(change):
        left, right = at(look.began), at(following.began)
        end = at(min(following.began, look.began + 4 * found.usual))
        lane = top + look.tree * (_LANE + 4)
        if right > end:
            words = "this reader waited for a processor"
            yield box(end, lane, right - end, _LANE, colour_of(look.version), opacity=0.18, radius=0, title=words)
        if end - left < 0.5:
            continue
        yield box(left, lane, max(end - left - 1.5, 1), _LANE, colour_of(look.version), radius=2)
        if end - left > 14:
            middle = (left + end - 1.5) / 2
            yield text(middle, lane + 15, look.version, size=12, weight=700, fill="#fff", anchor="middle")


def _foot(picture: Picture, y: int) -> Drawn:  # noqa: ARG001
    paragraph = textwrap.wrap(EXPLANATION, 165)
    lines = [text(40, y + 16 + 19 * number, line, size=13, fill=SOFT) for number, line in enumerate(paragraph)]
    return lines, 16 + 19 * len(lines) + 18
