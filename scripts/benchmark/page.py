"""The figures as Markdown, put between two marks of a page, so that the prose around them stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .answering import VISITORS, Answered
from .figures import BACK, FIRST, PERCENT, SAME, STEPS, TEN, Race, Spread
from .switching import Watched

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
TREESWAP, TREESWAP_STATUS = "treeswap", "treeswap status"
RSYNCS = ("rsync", "rsync 3.2.7")
_GOALS = ((FIRST, 1.0), (SAME, 0.3), (PERCENT, 0.5))
_LARGE = 50_000  # files; the goals are for this many or more


@dataclass(slots=True)
class Report:
    """Everything that one run of the benchmark found: `facts` are about the machine, the programs and the run."""

    facts: dict[str, str] = field(default_factory=dict)
    races: list[Race] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    starts: dict[str, tuple[Spread, Spread]] = field(default_factory=dict)

    @property
    def unequal(self) -> list[str]:
        return [sentence for race in self.races for sentence in race.unequal]


def write(page: Path, report: Report, picture: str) -> None:
    """Replaces what is between the marks; makes the page if there is none. The rest of it stays as it is."""
    text = page.read_text() if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks {BEGIN} or {END}")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(report, picture)}\n{END}{after}")


def markdown(report: Report, picture: str) -> str:
    parts = [*_facts(report)]
    if report.races:
        parts += [f"![Seconds by contender and step, and how they grow]({picture})", ""]
    for race in report.races:
        parts += _race(race)
    if growing(report.races):
        parts += _growth(growing(report.races))
    if report.watched:
        parts += _switches(report.watched)
    if report.answered:
        parts += _requests(report.answered)
    if report.starts:
        parts += _starts(report.starts)
    parts += _goals(report)
    return "\n".join(parts)


def _facts(report: Report) -> Iterator[str]:
    yield from _table(("", ""), [[name, fact] for name, fact in report.facts.items()])
    compared = sum(race.compared for race in report.races)
    if report.unequal:
        yield f"Of {compared} comparisons of a tree with its source, these were not equal:\n"
        yield from (f"- {sentence}" for sentence in report.unequal)
    else:
        yield f"{compared} comparisons of a tree with its source: all were equal."
    yield ""


def _race(race: Race) -> Iterator[str]:
    yield f"## {race.title}: {race.size:,} files, {race.directories:,} directories\n"
    yield "Seconds: median (smallest–largest).\n"
    yield from _table(("", *STEPS), [_row(race, name, [_seconds(race.seconds(name, step)) for step in STEPS])
                                     for name in race.contenders])  # fmt: skip
    beside = {step: race.faster(step, *RSYNCS) for step in STEPS if step != BACK}
    if any(beside.values()):
        heads = [f"{step}, beside {name}" for step, name in beside.items()]
        yield "How many times as long as the faster rsync, in the same round: median (smallest–largest).\n"
        yield from _table(("", *heads), [_row(race, name, _ratios(race, name, beside)) for name in race.contenders])
    yield "Memory: the most that one process had. Not in the times above: a sync afterwards, removing old releases.\n"
    heads = ["peak memory, first copy", "peak memory, later", "five releases on disk", "sync", "removal"]
    rows = [
        _row(race, name, [
            _bytes(race.peak(name, FIRST)),
            _bytes(race.peak(name, *STEPS[1:])),
            _bytes(race.disk.get(name)),
            _seconds(Spread.of(race.synced.get(name, []))),
            _seconds(Spread.of(race.removed.get(name, []))),
        ])
        for name in race.contenders
    ]  # fmt: skip
    yield from _table(("", *heads), rows)
    switched = race.switched(TREESWAP)
    if switched:
        yield f"treeswap rollback, from its start to the switch: {_seconds(switched)} s.\n"


def _ratios(race: Race, name: str, beside: dict[str, str | None]) -> list[str]:
    return [_ratio(race.ratio(name, step, other) if other else None) for step, other in beside.items()]


def _row(race: Race, name: str, cells: Sequence[str]) -> list[str]:
    """Why a contender was absent stands where its first figure would."""
    why = race.absent.get(name)
    if why:
        cells = [" ".join(why.replace("|", "/").split()), *("" for _ in cells[1:])]
    return [name, *cells]


def growing(races: Sequence[Race]) -> list[Race]:
    """Those whose inputs are the same but for the number of files, the smallest first; none if there is only one."""
    found = sorted((race for race in races if race.grows), key=lambda race: race.size)
    return found if len(found) > 1 else []


def _growth(races: Sequence[Race]) -> Iterator[str]:
    yield "## Growth\n"
    yield "treeswap, by the number of files: median seconds, and the peak memory of all but first copies.\n"
    rows, least = [], races[0]
    for race in races:
        peak, beside = race.peak(TREESWAP, *STEPS[1:]), least.peak(TREESWAP, *STEPS[1:])
        more = ""
        if peak and beside and race.size > least.size:
            more = f"{(peak - beside) / (race.size - least.size):.0f}"
        cells = [_seconds(race.seconds(TREESWAP, step)) for step in (SAME, PERCENT, TEN)]
        rows.append([f"{race.size:,}", f"{race.directories:,}", *cells, _bytes(peak), more])
    heads = ("files", "directories", SAME, PERCENT, TEN, "peak memory", f"bytes a file above {least.size:,}")
    yield from _table(heads, rows)


def _switches(watched: Sequence[Watched]) -> Iterator[str]:
    yield "## The switch\n"
    rows = []
    for one in watched:
        if one.absent:
            rows.append([one.name, " ".join(one.absent.replace("|", "/").split()), *[""] * 6])
        else:
            counts = [f"{count:,}" for count in (one.switches, one.lookups, one.failed, one.passes, one.torn)]
            rows.append([one.name, *counts, _microseconds(one.spread), _microseconds(one.mixed)])
    heads = ("", "switches", "lookups", "failed", "passes", "torn", "first to last reader", "old beside new")
    yield from _table(heads, rows)


def _requests(answered: Sequence[Answered]) -> Iterator[str]:
    yield "## Requests while a site is deployed\n"
    yield f"{VISITORS} visitors ask a Django site for its page and a static file, without a pause.\n"
    rows, waits = [], []
    for one in answered:
        if one.absent:
            rows.append([one.name, " ".join(one.absent.replace("|", "/").split()), *[""] * 7])
            continue
        counts = [f"{count:,}" for count in (one.mixed, one.visits, one.straddled, one.out_of_order)]
        rate = f"{one.requests / one.seconds:,.0f}"
        rows.append([one.name, str(one.deploys), f"{one.requests:,}", rate, _errors(one.errors), *counts])
        times = [_seconds(one.deploy), f"{one.half} ms", f"{one.most} ms", f"{one.longest:.1f} s"]
        waits.append([one.name, *times])
    heads = ("deploys", "requests", "a second", "errors", "mixed", "visits", "of two releases", "out of order")
    yield from _table(("", *heads), rows)
    if waits:
        times_of = ("seconds of a deploy", "half of the answers within", "99 % within", "longest without a good page")
        yield from _table(("", *times_of), waits)


def _errors(kinds: Mapping[str, int]) -> str:
    """How many, and of which kinds."""
    named = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(kinds.items()))
    return f"{sum(kinds.values()):,} ({named})" if kinds else "0"


def _starts(starts: dict[str, tuple[Spread, Spread]]) -> Iterator[str]:
    yield "## Start-up\n"
    rows = [[f"`{name}`", _seconds(seconds), _ratio(ratio)] for name, (seconds, ratio) in starts.items()]
    yield from _table(("", "seconds", "beside a bare interpreter"), rows)


def _goals(report: Report) -> Iterator[str]:
    """What the project wants of itself for large trees, and what this run gave."""
    large = [race for race in report.races if race.size >= _LARGE]
    rows = []
    for race in large:
        for step, goal in _GOALS:
            other = race.faster(step, *RSYNCS)
            ratio = race.ratio(TREESWAP, step, other) if other else None
            if ratio:
                rows.append(
                    [f"{race.size:,} files, {step}", f"≤ {goal:.1f} × the faster rsync", f"{ratio.median:.2f} ×"]
                )
        switched, peak = race.switched(TREESWAP), race.peak(TREESWAP)
        if switched:
            rows.append([f"{race.size:,} files, rollback until the switch", "≤ 0.1 s", f"{switched.median:.3f} s"])
        if peak and race is large[0]:
            rows.append([f"{race.size:,} files, peak memory", "≤ 100 MB", _bytes(peak)])
    if TREESWAP_STATUS in report.starts:
        ratio = report.starts[TREESWAP_STATUS][1]
        rows.append(["`treeswap status`", "≤ 5 × a bare interpreter", f"{ratio.median:.1f} ×"])
    if rows:
        yield "## Goals\n"
        yield from _table(("", "goal", "this run, median"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _seconds(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    digits = 3 if spread.median < 10 else 1
    return f"{spread.median:.{digits}f} ({spread.least:.{digits}f}–{spread.most:.{digits}f})"


def _microseconds(spread: Spread | None) -> str:
    return f"{spread.median * 1e6:,.0f} µs, at most {spread.most * 1e6:,.0f}" if spread else "–"


def _ratio(spread: Spread | None) -> str:
    return f"{spread.median:.2f} × ({spread.least:.2f}–{spread.most:.2f})" if spread else "–"


def _bytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:,.1f} MB"
