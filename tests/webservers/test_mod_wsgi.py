"""Django under Apache's mod_wsgi, as docs/providers.md tells it: its wsgi.py, its treeswap.toml, its configuration."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import write_tree
from crowd import crowd
from docs.pages import DOCS, blocks
from filesystems import Mounts

from .servers import Front, free_port, program, running

PAGE = DOCS / "providers.md"
MODULE = Path("/usr/lib/apache2/modules/mod_wsgi.so")
PYTHON = Path("/usr/bin/python3")
"""The one that mod_wsgi was built for."""
APP = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "none"
ALLOWED_HOSTS = ["*"]
MIDDLEWARE = ["mysite.release.name_the_release"]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR / "templates"]}]
""",
    "mysite/urls.py": """\
from django.urls import path

from mysite import views

urlpatterns = [path("", views.page), path("up", views.up)]
""",
    "mysite/views.py": """\
import os
import time
from pathlib import Path

from django.http import HttpResponse
from django.shortcuts import render

CODE = "VERSION"


def page(request):
    time.sleep(0.02)  # a switch may come now
    from mysite.late import LATE

    static = Path(os.environ["TREESWAP_RELEASE"], "static/version.txt").read_text()
    return render(request, "page.txt", {"code": CODE, "late": LATE, "static": static})


def up(request):
    return HttpResponse("up")
""",
    "mysite/late.py": 'LATE = "VERSION"\n',
    "templates/page.txt": "{{ code }} {{ late }} VERSION {{ static }}",
}


class Host:
    """The home directory of the page, in a room of its own. `new` has the sources."""

    def __init__(self, room: Path) -> None:
        self.room, self.port = room, free_port()
        (room / "new").mkdir()
        self.configure()
        # The server's own Python, with this one's Django.
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", room / "venv"], check=True)
        (packages,) = (room / "venv/lib").glob("python3*/site-packages")
        spec = find_spec("django")
        assert spec is not None and spec.origin is not None
        (packages / "django.pth").write_text(f"{Path(spec.origin).parents[1]}\n")

    def here(self, text: str) -> str:
        """What the page says, with this host's directories and address."""
        url = f"http://127.0.0.1:{self.port}"
        return text.replace("/home/ana", str(self.room)).replace("https://bakery.example", url)

    def configure(self, *, without: str = "") -> None:
        """The page's treeswap.toml, without the lines that begin so."""
        lines = self.here(blocks(PAGE, "toml")[0].text).splitlines()
        kept = [line for line in lines if not without or not line.startswith(without)]
        assert len(kept) < len(lines) or not without
        (self.room / "new/treeswap.toml").write_text("\n".join(kept))

    def version(self, version: str, **files: str) -> None:
        """The sources are of this version, but for these modules of `mysite`."""
        made = {name: text.replace("VERSION", version) for name, text in APP.items()}
        made["mysite/wsgi.py"] = self.here(blocks(PAGE, "python")[0].text)
        made["mysite/release.py"] = blocks(DOCS / "webservers.md", "python")[0].text
        made |= {f"mysite/{name}.py": text for name, text in files.items()}
        write_tree(self.room / "new/app", made)
        write_tree(self.room / "new/static", {"version.txt": version})

    def run(self, *words: str, exits: int = 0) -> str:
        clean = {name: text for name, text in os.environ.items() if "TREESWAP" not in name}
        command = [sys.executable, "-m", "treeswap", *words]
        done = subprocess.run(command, cwd=self.room / "new", env=clean, capture_output=True, text=True, timeout=120)
        assert done.returncode == exits, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def deploy(self, version: str, *, exits: int = 0, **files: str) -> str:
        self.version(version, **files)
        return self.run("deploy", exits=exits)

    @property
    def current(self) -> str:
        return (self.room / "site/current").readlink().name

    @contextmanager
    def apache(self) -> Iterator[Front]:
        """With the page's configuration, and what a provider's has already."""
        front = self.room / "front"
        outside = f"LoadModule wsgi_module {MODULE}\nWSGISocketPrefix {front}/tmp/wsgi"
        (told,) = [block.text for block in blocks(PAGE, "text") if "WSGIDaemonProcess" in block.text]
        open_ = f'<Directory "{self.room}">\nOptions FollowSymLinks\nRequire all granted\n</Directory>\n'
        with running("apache", front, self.port, self.here(told) + "\n" + open_, outside) as made:
            yield made


@pytest.fixture
def host(mounts: Mounts) -> Iterator[Host]:
    program("apache")
    if not MODULE.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("mod_wsgi is not installed")
        pytest.skip("mod_wsgi is not installed")
    room = mounts.room()
    yield Host(room)
    shutil.rmtree(room)


@dataclass(slots=True)
class Met:
    """What visitors were answered: versions by page, and what went wrong."""

    pages: list[list[str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


@contextmanager
def visitors(front: Front, count: int = 4) -> Iterator[Met]:
    """They come without a pause until the block ends."""
    met = Met()

    def visit() -> None:
        try:
            answer = front.ask("/")
        except (OSError, http.client.HTTPException) as error:
            met.troubles.append(repr(error))
            return
        if answer.status != 200:
            met.troubles.append(str(answer))
        met.pages.append(answer.text.split())

    with crowd(visit, count):
        yield met


def shows(front: Front, version: str) -> None:
    """Whichever process answers."""
    for _ in range(12):
        assert front.ask("/").text.split() == [version] * 4
    assert front.ask("/static/version.txt").text == version


def test_no_request_fails_and_no_answer_is_mixed_while_releases_come_and_go(host: Host) -> None:
    host.configure(without="confirm_url")  # nobody could answer yet
    host.deploy("v1")
    host.configure()
    with host.apache() as front:
        shows(front, "v1")
        with visitors(front) as met:
            for version in ("v2", "v3", "v4"):
                told = host.deploy(version)
                assert f"/up is answered by {host.current}" in told
                shows(front, version)
            for version in ("v3", "v2"):
                host.run("rollback")
                shows(front, version)
    assert met.troubles == []
    assert [page for page in met.pages if page != page[:1] * 4] == []
    assert {page[0] for page in met.pages} == {"v1", "v2", "v3", "v4"}


def test_a_release_that_does_not_start_is_switched_back(host: Host) -> None:
    host.configure(without="confirm_url")
    host.deploy("v1")
    host.configure()
    with host.apache() as front:
        shows(front, "v1")
        first = host.current
        told = host.deploy("v2", exits=13, urls="import what_is_not_there\n")
        assert "is answered with 500" in told and f"{first} is current again" in told
        shows(front, "v1")
        host.deploy("v3")
        shows(front, "v3")


def test_without_touch_the_old_program_goes_on(host: Host) -> None:
    host.configure(without="confirm_url")
    host.deploy("v1")
    with host.apache() as front:
        shows(front, "v1")
        text = (host.room / "new/treeswap.toml").read_text()
        (host.room / "new/treeswap.toml").write_text(text.replace("touch = [", "# touch = ["))
        host.deploy("v2")
        assert front.ask("/").text.split() == ["v1"] * 4
        (host.room / "new/treeswap.toml").write_text(text)
        host.deploy("v3")
        shows(front, "v3")
