"""The program itself: what it imports, what it does with a bug, and how it words things."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import treeswap
from treeswap.cli import words
from treeswap.cli.program import run
from treeswap.cli.session import Flags
from treeswap.cli.signals import SIGNALS
from treeswap.cli.teller import Teller
from treeswap.outcomes import Event

from .world import World

NOT_FOR_STATUS = "rich pathspec tomllib asyncio importlib.metadata click.testing treeswap.config treeswap.demo"


def imported_by(world: World, code: str) -> set[str]:
    code += "\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        cwd=world.root,
        env=world.environ,
        capture_output=True,
        check=True,
    )
    return set(done.stderr.decode().split())


def test_status_imports_only_what_it_needs(world: World) -> None:
    world.deploy("1")
    code = "from treeswap.cli import main\nsys.argv = ['treeswap', 'status', '--site', 'srv/apps']\nassert main() == 0"
    assert imported_by(world, code).isdisjoint(NOT_FOR_STATUS.split())


def test_the_library_loads_its_names_when_they_are_asked_for(world: World) -> None:
    assert not [name for name in imported_by(world, "import treeswap") if name.startswith(("click", "treeswap.s"))]
    used = imported_by(world, "import treeswap\ntreeswap.Site")
    assert used.isdisjoint({"click", "rich", "pathspec", "treeswap.cli"})
    assert all(getattr(treeswap, name) is not None for name in treeswap.__all__)
    assert dir(treeswap) == sorted(treeswap.__all__)
    with pytest.raises(AttributeError):
        treeswap.no_such_name  # noqa: B018


def test_the_library_knows_gitignore(world: World) -> None:
    world.deploy("1", "--exclude", "*.pyc")
    site = treeswap.Site.open(world.root / "srv/apps")
    release = site.stage({"apps": world.tree("b/apps", {"a": "2", "x.pyc": ""})})
    assert sorted(path.name for path in release["apps"].iterdir()) == ["a"]


def test_python_dash_m(world: World) -> None:
    done = subprocess.run([sys.executable, "-m", "treeswap", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"treeswap {treeswap.__version__}\n"
    assert world.run("--version").out == done.stdout


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_a_bug_is_a_sentence_and_with_v_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr(treeswap.site.Site, "open", broken)
    assert run(["status", "--site", "x"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "bug in treeswap: ZeroDivisionError: by the test" in told.err
    assert "Traceback" not in told.err
    assert run(["status", "--site", "x", "-v", "--json"]) == 1
    told = capsys.readouterr()
    assert '"code": "bug"' in told.out and "Traceback" in told.err
    assert run(["exec", "--site", "x", "--", "true"]) == 125


def test_notes_are_told_once_and_not_to_machines(capsys: pytest.CaptureFixture[str]) -> None:
    flags = Flags()
    teller = Teller(flags)
    for _ in range(2):
        teller.hear(Event("stage", note="made a \x1b[2J link"))
        teller.hear(Event("retire", note="old files stay", warning=True))
    assert capsys.readouterr().err == "made a \\x1b[2J link\nwarning: old files stay\n"
    flags.give("json", True)
    teller.hear(Event("stage", note="another"))
    teller.hear(Event("stage", note="another warning", warning=True))
    assert capsys.readouterr().err == "warning: another warning\n"


def test_words() -> None:
    assert [words.size(n) for n in (0, 999, 1000, 15_500, 999_999_999_999)] == [
        "0 bytes", "999 bytes", "1.0 kB", "15.5 kB", "1.0 TB",
    ]  # fmt: skip
    assert [words.seconds(s) for s in (0.0123, 1.25, 75)] == ["12 ms", "1.2 s", "1 min 15 s"]
    assert words.when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04:05 UTC"
    assert [words.count(1, "file"), words.count(2000, "copy")] == ["1 file", "2,000 copies"]
    assert words.table([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"
    assert words.name("a\nb\udcff\x1b") == "a\\nb\\xff\\x1b"


def test_a_command_line_with_any_bytes_means_the_same_to_a_shell() -> None:
    given = ["plain", "with space", "it's", b"a\xff\n'\\b".decode(errors="surrogateescape"), ""]
    line = words.command_line(given)
    echoed = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    assert echoed.split(b"\0")[:-1] == [word.encode(errors="surrogateescape") for word in given]
