"""Scenes with commands: migrations, one of them exclusive, under a maintenance page that comes and goes by itself; what
runs after the switch, and after a failure.

Each command writes down outside of SITE that it began and that it ended, and whether the page was up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from . import running
from .oracle import Answer, Broken
from .program import KILLED
from .scenes import TREES, Scene, World

_EXCLUSIVE = "the page is up exactly while an exclusive migration runs, and stays up if that died"
_NOT_TAKEN_DOWN = "the page is never taken down by a command that did not put it up"
_SAYS_WHY = "a page that stays up says why"
_TOLD = "a command that ran is never told as not having run"
_IN_ORDER = "commands run when the story says so"
_MIGRATIONS = ("tolerated", "exclusive")


class Line(NamedTuple):
    command: str
    when: str
    release: str
    page: str


class MigratingWorld(World):
    deploys_after = True

    def settings(self) -> list[str]:
        def run(command: str, *moments: str) -> str:
            page = 'test -e "$TREESWAP_SITE/maintenance/page.html" && echo up || echo down'
            told = [f"echo {command} {when} $TREESWAP_RELEASE_ID $({page}) >> {self._ran}" for when in moments]
            return f"'''{'; '.join([f': {command}', *told])}'''"

        migrate = [
            f"{{ run = {run(name, 'began', 'ended')}, exclusive = {'true' if name == 'exclusive' else 'false'} }}"
            for name in _MIGRATIONS
        ]
        return [
            *("keep_releases = 1", 'grace = "0s"', 'maintenance = "auto"'),
            "[commands]",
            f"migrate = [{', '.join(migrate)}]",
            f"after_switch = [{run('after', 'ended')}]",
            f"on_failure = [{run('failed', '$TREESWAP_EXIT')}]",
        ]

    @property
    def _ran(self) -> Path:
        return self.root / "ran"

    @property
    def _page(self) -> Path:
        return self.site.root / "maintenance/page.html"

    def lines(self) -> list[Line]:
        return [Line(*line.split()) for line in self._ran.read_text().splitlines()] if self._ran.exists() else []

    def restore(self) -> None:
        super().restore()
        self._before, self._was_up = len(self.lines()), self._page.exists()

    # ------------------------------------------------------------ judged

    def at_once(self, words: tuple[str, ...], answer: Answer) -> None:
        if answer.code == KILLED:
            running.until(lambda: not running.pids(self.site.root), "a command ends with its deploy")
        new = self.lines()[self._before :]
        self._was_up = self._page.exists()
        told = f"page {'up' if self._was_up else 'down'}; {[' '.join(line) for line in new]}; {answer}"
        if self._was_up and not self._page.read_text().endswith("</html>\n"):
            raise Broken("the page is whole, or not there", told)
        began = {line.command for line in new if line.when == "began"}
        ended = {line.command for line in new if line.when == "ended"}
        if any((line.page == "up") != (line.command == "exclusive") for line in new if line.command != "failed"):
            raise Broken(_EXCLUSIVE, told)
        if "exclusive" in began - ended and not self._was_up:
            raise Broken(_EXCLUSIVE, told)
        after = [line.release for line in new if line.command == "after"]
        if after and after != [self.site.current]:
            raise Broken(_IN_ORDER, told)
        if answer.code == 0 and (self._was_up or began != {*_MIGRATIONS} or ended != {*_MIGRATIONS, "after"}):
            raise Broken(_IN_ORDER, told)
        failed = [line.when for line in new if line.command == "failed"]
        wanted = [str(answer.code)] if words[0] == "deploy" and answer.code in (12, 13, 17) else []
        if failed != wanted and "what is to run after a failure failed" not in answer.err:
            raise Broken(_IN_ORDER, told)
        if answer.code == 12 and any(f": {name}" not in answer.err for name in began):
            raise Broken(_TOLD, told)
        if answer.code == 12 and self._was_up and "maintenance off" not in answer.err:
            raise Broken(_SAYS_WHY, told)
        died = "exclusive" in began - ended or "could not be run" in answer.err
        if answer.code >= 0 and self._was_up and not died:
            raise Broken(_EXCLUSIVE, told)

    def rests(self) -> None:
        page = self._page.exists()
        if page != self._was_up:
            raise Broken(_NOT_TAKEN_DOWN, f"it was {self._was_up}, and is {page}")
        told = json.loads(self._answer("status").out)["maintenance"]
        if (told is not None) != page or (told and not ("migrate" in told["why"] and "runs for" not in told["why"])):
            raise Broken(_SAYS_WHY, f"page {page}, {told}")
        entries = self._answer("log").out
        for line in self.lines():
            if line.command in _MIGRATIONS and not self._is_told(entries, line):
                raise Broken(_TOLD, f"{line}: {entries}")
        if page:
            self.did(*self.on_site("maintenance", "off"))
            self._was_up = False

    def _answer(self, command: str) -> Answer:
        answer = self.program.run(*self.on_site(command, "--json"))
        if answer.code != 0:
            raise Broken("a command that looks works", str(answer))
        return answer

    def _is_told(self, entries: str, line: Line) -> bool:
        return any(
            entry["release"] == line.release and f": {line.command};" in entry["what"] and "migrat" in entry["what"]
            for entry in json.loads(entries)["history"]
        )


def _deploy(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    world.did(*world.configured("deploy", "2"))
    return world.configured("deploy", "3")


def _switch(world: World) -> tuple[str, ...]:
    world.did(*world.configured("deploy", "1"))
    world.did(*world.configured("stage", "2", "--label", "staged"))
    return world.on_site("switch", "staged")


SCENES = (
    Scene("migrated-deploy", _deploy, dict.fromkeys(TREES, "2"), dict.fromkeys(TREES, "3"), world=MigratingWorld),
    Scene("migrated-switch", _switch, dict.fromkeys(TREES, "1"), dict.fromkeys(TREES, "2"), world=MigratingWorld),
)
"""Those with commands: of a deploy, and of the switch to what was staged."""
