"""Everything at once: gunicorn under a process manager, a real web server in front, deploys that it confirms."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from filesystems import Mounts
from serving.world import Served

from .servers import PROGRAMS, Front, free_port, running

HERE = "127.0.0.1"


@pytest.fixture
def served(mounts: Mounts) -> Iterator[Served]:
    room = mounts.room()
    made = Served(room)
    try:
        yield made
    finally:
        made.clear()
    shutil.rmtree(room)


@contextmanager
def visitors(front: Front) -> Iterator[list[str]]:
    """Visitors without a pause until the block ends; gives what went wrong, one line each, and at least one `ok`."""
    told: list[str] = []
    over = threading.Event()

    def come(path: str, words: int) -> None:
        while not over.wait(0.01):
            try:
                answer = front.ask(path)
                well = answer.status == 200 and len(answer.text.split()) == words and len(set(answer.text.split())) == 1
                told.append("ok" if well else f"{path}: {answer}")
            except OSError as error:
                told.append(f"{path}: {error!r}")

    coming = [threading.Thread(target=come, args=it) for it in (("/", 3), ("/", 3), ("/conf/version", 1))]
    for one in coming:
        one.start()
    try:
        yield told
    finally:
        over.set()
        for one in coming:
            one.join()


@pytest.mark.parametrize("kind", PROGRAMS)
def test_files_and_code_change_at_once_and_the_front_door_confirms_it(kind: str, served: Served) -> None:
    port = free_port()
    served.deploy("v1")
    words = ["--host", HERE, "--port", str(port), "--static", "conf=/conf/"]
    text = served.run("webserver", kind, *words).replace(f"listen {port};", f"listen {HERE}:{port};")
    url = f"http://{HERE}:{port}/up"
    served.configure(more=f'confirm_url = "{url}"')
    with running(kind, served.root / "front", port, text) as front:
        front.host = HERE
        assert front.ask("/").text.split() == ["v1"] * 3
        with visitors(front) as told:
            for version in ("v2", "v3"):
                assert f"confirmed: {url} is answered by" in served.deploy(version)
            served.run("rollback")
        assert set(told) == {"ok"}
        assert front.ask("/").text.split() == ["v2"] * 3
        assert front.ask("/conf/version").text == "v2"
        served.deploy("v4", exits=13, liar=True)
        assert front.ask("/").text.split() == ["v2"] * 3
