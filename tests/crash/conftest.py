"""The figures of the sweeps stand at the end of a run, one by one and summed up by file.

A test gives them by `record_property("figures", TEXT)`, the text being like "NAME: 12 of 480 states, 7 commands, 33 s".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import pytest

_UNITS = ("calls", "cases", "states", "commands", "operations", "steps", "inputs", "lookups", "reads", "s")
_FIGURE = re.compile(rf"([\d,]*\d(?:\.\d+)?)(?: of ([\d,]*\d))?(?: changing)? ({'|'.join(_UNITS)})\b")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [
        (report.nodeid.partition("::")[0].rpartition("/")[2], str(text))
        for report in reports
        for name, text in report.user_properties
        if name == "figures"
    ]
    if told:
        terminalreporter.section("figures")
        for line in (*(text for _, text in sorted(told)), "", *table(told)):
            terminalreporter.line(line)


def table(told: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The sums of all figures of each file, and of all."""
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file, text in told:
        for name in (file, "all"):
            sums[name].update(_figures(text))
    rows = sorted(sums, key=lambda name: (name == "all", name))
    units = [unit for one in _UNITS for unit in (one, f"of all {one}") if sums["all"][unit]]
    heads = ["minutes" if unit == "s" else unit for unit in units]
    yield " ".join([" " * 24, *(f"{head:>14}" for head in heads)])
    for name in rows:
        cells = [f"{sums[name][unit] / 60:,.1f}" if unit == "s" else f"{sums[name][unit]:,.0f}" for unit in units]
        yield " ".join([f"{name:24}", *(f"{cell:>14}" for cell in cells)])


def _figures(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for number, whole, unit in _FIGURE.findall(text):
        found[unit] += float(number.replace(",", ""))  # type: ignore[assignment]
        if whole:
            found[f"of all {unit}"] += int(whole.replace(",", ""))
    return found
