"""A release's processes around its switch: started and healthy before it, seen to serve after it.

Which of them run otherwise, and how they end, is for `draining` to say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from treeswap.errors import Failed, TreeswapError
from treeswap.process import Process
from treeswap.processes import ProcessManager, Running, Unit, asking, health
from treeswap.processes.asking import Answer, NoAnswer
from treeswap.release import Record

from . import ending, sign
from .core import Core

CONFIRM = 10.0
"""Seconds within which a release that was switched to has to be seen."""
_POLL = 0.1
"""Seconds between two questions."""
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)


class NotConfirmed(Exception):
    """What is served is not the release that was switched to; the text says what was seen instead. To ask again is of
    no use where that is `final`."""

    def __init__(self, seen: str, *, final: bool = False) -> None:
        super().__init__(seen)
        self.final = final


def runnings(core: Core, record: Record, processes: Iterable[Process] | None = None) -> Iterator[Running]:
    """Each instance of a release's processes, or of these of them.

    An adopted release has the processes of the release that was current before it: its `run` leads to their sockets.
    """
    dirs = core.release_of(record).dirs
    for process in record.processes if processes is None else processes:
        for number in range(1, process.instances + 1):
            unit = Unit(core.name, core.root, record.run or record.id, process.name, number)
            yield Running(process, unit, dirs)


def sockets(record: Record) -> list[Process]:
    """The processes that serve requests; the others are workers."""
    return [process for process in record.processes if process.has_socket]


def manager_of(core: Core, record: Record) -> ProcessManager:
    assert record.process_manager is not None
    return core.manager(record.process_manager)


# ---------------------------------------------------------------- before the switch


def prepare(core: Core, record: Record) -> None:
    """Starts what serves requests, and waits until it is healthy. Where it does not become so, all that was started
    ends again: `Failed`, with what it said last."""
    serving = list(runnings(core, record, sockets(record)))
    if not serving:
        return
    manager = manager_of(core, record)
    wait_for_ends(core, serving)
    before = manager.running()
    try:
        start(core, record, serving)
        started = time.monotonic()
        for running in serving:
            _wait_until_healthy(core, manager, running, started + running.process.deploy_timeout)
    except BaseException:
        _stop(manager, [running for running in serving if running.unit not in before])
        raise


def await_workers(core: Core, record: Record) -> None:
    """Waits until those workers are healthy that a command tells it of. `Failed`; they run on."""
    started = time.monotonic()
    for running in runnings(core, record, [process for process in record.processes if not process.has_socket]):
        _wait_until_healthy(core, manager_of(core, record), running, started + running.process.deploy_timeout)


def start(core: Core, record: Record, wanted: Sequence[Running]) -> list[Unit]:
    """Starts those of these units that do not run, and gives them. One that is ending has to end first. `Failed`."""
    manager = manager_of(core, record)
    wait_for_ends(core, wanted)
    there = manager.running()
    missing = [running.unit for running in wanted if running.unit not in there]
    manager.install(record.processes)
    for unit in missing:
        core.tell("start", note=f"starting {unit}")
        manager.start(unit)
    return missing


def wait_for_ends(core: Core, wanted: Sequence[Running]) -> None:
    """Returns when nobody ends any of these. `Failed` if that takes longer than it may."""
    for running in wanted:
        ending.wait_for_end(core, running.unit, running.process.drain_timeout)


def _wait_until_healthy(core: Core, manager: ProcessManager, running: Running, deadline: float) -> None:
    while problem := health.problem(running, host_of(core), max(deadline - time.monotonic(), _POLL)):
        if time.monotonic() >= deadline:
            key = f"processes.{running.process.name}"
            raise Failed(
                f"{running.unit} was not healthy within {running.process.deploy_timeout:g} s: {problem}",
                hint=f"what it said last is below; {key}.health says how it is asked, {key}.deploy_timeout how long",
                cause="\n".join(log(manager, running.unit)) or None,
            )
        time.sleep(_POLL)


def end(core: Core, record: Record) -> str | None:
    """Ends what was started of a release that is not switched to. Gives what resists, in a sentence."""
    return _stop(manager_of(core, record), list(runnings(core, record)))


def _stop(manager: ProcessManager, runs: Collection[Running]) -> str | None:
    left = []
    for running in runs:
        try:
            manager.stop(running.unit, running.process.drain_timeout)
        except TreeswapError as error:
            left.append(f"{running.unit} could not be stopped: {error.message}")
    return "; ".join(left) or None


def host_of(core: Core) -> str:
    """For whom a process is asked: applications answer only for hosts that they know."""
    return core.name if _DOMAIN.fullmatch(core.name) else "localhost"


def log(manager: ProcessManager, unit: Unit) -> list[str]:
    """What it said last."""
    try:
        return manager.log(unit)
    except TreeswapError as error:
        return [f"its output could not be read: {error.message}"]


# ---------------------------------------------------------------- after the switch


def confirm(core: Core, record: Record) -> str | None:
    """Sees that this release is what is served, and says in a sentence how; None where there is nothing to ask.
    `NotConfirmed` after `CONFIRM` seconds."""
    deadline = time.monotonic() + CONFIRM
    while True:
        left = max(deadline - time.monotonic(), _POLL)
        try:
            # While the maintenance page is up, nobody gets past the front door.
            if core.settings.confirm_url is not None and sign.now(core) is None:
                return _at_the_front_door(record, core.settings.confirm_url, left)
            return _through_current(core, record, left)
        except NotConfirmed as unseen:
            if unseen.final or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL)


def _at_the_front_door(record: Record, url: str, timeout: float) -> str:
    """As visitors come. Only a header can say which release they see."""
    try:
        answer = asking.of_url(url, timeout)
    except NoAnswer as error:
        raise NotConfirmed(f"{url} is not answered: {error}")
    _check(answer, record, url)
    if answer.release is None:
        return f"{url} answers; without the header {asking.RELEASE_HEADER} it does not say which release"
    return f"confirmed: {url} is answered by {record.id}"


def _through_current(core: Core, record: Record, timeout: float) -> str | None:
    """As the web server comes. Whoever listens there has to be of the release's own units."""
    told = []
    for running in runnings(core, record, sockets(record)):
        path = core.layout.current / "run" / running.socket.name
        asked = running.process.health_path
        try:
            if asked is not None:
                answer = asking.over_socket(path, asked, host_of(core), timeout)
                _check(answer, record, f"{asked} at {path}", final=True)
            else:
                answer = Answer(200, pid=asking.listener(path, timeout))
        except NoAnswer as error:
            raise NotConfirmed(f"{path} is not answered: {error}")
        if not answer.pid:
            told.append(f"{path} answers; which process does cannot be seen from here")
            continue
        try:
            members = manager_of(core, record).pids(running.unit)
        except Failed as error:
            told.append(f"{path} answers; whether {running.unit} does cannot be seen: {error.message}")
            continue
        if answer.pid not in members:
            stranger = f"process {answer.pid}, which is not of {running.unit}"
            raise NotConfirmed(f"{path} is answered by {stranger}", final=True)
        told.append(f"confirmed: {path} is answered by {running.unit}")
    return "; ".join(told) or None


def _check(answer: Answer, record: Record, asked: str, *, final: bool = False) -> None:
    """`final` says that nobody stands between who asks and who answers, and may only be late."""
    if answer.release not in (None, record.id, record.run):
        raise NotConfirmed(f"{asked} is answered by {answer.release}, and not by {record.id}", final=final)
    if not answer.well:
        raise NotConfirmed(f"{asked} is answered with {answer.status}")
