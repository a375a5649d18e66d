"""The picture as text: a line of cells for the requests and for each reader, with colours where there are any."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .picture import COLOURS, EXPLANATION, Picture
from .tracks import SLICE, Track

_LABEL = 12


def show(picture: Picture, console: Console) -> None:
    """Prints it. Without colours each cell says its version; a cell in which a reader saw two is `|`."""
    coloured = console.color_system is not None and not console.no_color
    width = min(console.width, 120) - _LABEL - 1
    console.print()
    console.print(_labels(picture, width), no_wrap=True, overflow="crop")
    console.print(_marks(picture, width), no_wrap=True, overflow="crop")
    rows = [("requests", lambda begin, end: _answered(picture, begin, end))]
    rows += [(track.name, partial(_seen, track)) for track in picture.readers]
    for name, seen in rows:
        console.print(Text(f"{name:>{_LABEL - 1}} ") + _cells(picture, seen, width, coloured), no_wrap=True)
    console.print(_axis(picture, width), style="dim", no_wrap=True, overflow="crop")
    console.print(Padding(_legend(picture, coloured), (0, 0, 0, _LABEL)))
    console.print()
    console.print(_figures(picture))
    console.print(Padding(Text(EXPLANATION, style="dim"), (1, 0, 1, 0)), width=min(console.width, 100))


def _column(picture: Picture, moment: float, width: int) -> int:
    return min(max(int((moment - picture.began) / picture.seconds * width), 0), width - 1)


def _labels(picture: Picture, width: int) -> str:
    """The names of the switches, each from its mark on; one that would run into the one before is left out."""
    line = " " * _LABEL
    for switch in picture.verdict.switches:
        column = _LABEL + _column(picture, switch.at, width)
        if column > len(line) or len(line) == _LABEL:
            line = line.ljust(column) + switch.move.label
    return line


def _marks(picture: Picture, width: int) -> str:
    columns = {_column(picture, switch.at, width) for switch in picture.verdict.switches}
    return " " * _LABEL + "".join("↓" if column in columns else " " for column in range(width))


def _cells(picture: Picture, sees: Callable[[float, float], list[str]], width: int, coloured: bool) -> Text:
    """What was seen in each slice of time; with colours, each run of cells says its version once."""
    line = Text()
    slice_ = picture.seconds / width
    seen = [sees(begin, begin + slice_) for begin in (picture.began + slice_ * n for n in range(width))]
    for versions, cells in groupby(seen):
        length = len(list(cells))
        if not coloured:
            line.append(("." if not versions else versions[0] if len(versions) == 1 else "|") * length)
        elif len(versions) < 2:
            label = versions[0] if versions and length > 2 else ""
            line.append(label.center(length), style=f"bold white on {COLOURS[versions[0]]}" if versions else "")
        else:
            line.append("▌" * length, style=f"{COLOURS[versions[0]]} on {COLOURS[versions[-1]]}")
    return line


def _seen(track: Track, begin: float, end: float) -> list[str]:
    ends = [stretch.first_ended for stretch in track.stretches[1:]] + [end]
    return [
        stretch.version
        for stretch, until in zip(track.stretches, ends, strict=True)
        if stretch.first_ended < end and until > begin
    ]


def _answered(picture: Picture, begin: float, end: float) -> list[str]:
    """The versions of the answers that came meanwhile, at most two: the first and the last."""
    slices = picture.requests
    found = [
        version for number in range(round(begin / SLICE), round(end / SLICE)) for version in slices.get(number, ())
    ]
    return (
        list(dict.fromkeys(found))[:1] + list(dict.fromkeys(reversed(found)))[:1] if len(set(found)) > 1 else found[:1]
    )


def _axis(picture: Picture, width: int) -> str:
    line = " " * _LABEL
    step = next(step for step in (1, 2, 5, 10, 20, 60, 600) if picture.seconds / step <= width / 8)
    for second in range(0, int(picture.seconds) + 1, step):
        line = line.ljust(_LABEL + _column(picture, picture.began + second, width)) + (f"{second} s" if second else "0")
    return line


def _legend(picture: Picture, coloured: bool) -> Columns:
    """Which colour or digit is which release; on as many lines as it takes."""
    entries = []
    for version, release in picture.releases.items():
        label = Text(f" {version} ", style=f"bold white on {COLOURS[version]}") if coloured else Text(version)
        entries.append(label + f" {release}")
    return Columns(entries, padding=(0, 2))


def _figures(picture: Picture) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", min_width=_LABEL)
    table.add_column()
    for tile in picture.figures:
        for figure in tile:
            style = "bold" if not figure.must_be_nought else "bold red" if figure.count else "bold green"
            table.add_row(Text(f"{figure.count:,}", style=style), figure.what)
    return table
