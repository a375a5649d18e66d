"""Progress bars, one line a tree, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from treeswap.outcomes import Event


class Bars:
    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._lines: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, event: Event) -> None:
        """Moves the line of the event's tree."""
        tree = event.tree or ""
        told = f"{tree} {event.step}".strip()
        if tree not in self._lines:
            self._lines[tree] = self._progress.add_task(told)
        self._progress.update(self._lines[tree], description=told, completed=event.done, total=event.total)

    def above(self, text: str) -> None:
        """A line that stays, above the bars."""
        self._console.print(Text.from_ansi(text))

    def stop(self) -> None:
        self._progress.stop()
