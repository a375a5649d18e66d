"""Configurations that break the promise: each is seen, with where it stands and the way out, and does what is said."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import Bench, as_nobody, wait_for
from treeswap.outcomes import Finding
from treeswap.webservers import SERVERS, here
from treeswap.webservers.seam import Unreadable

from .servers import Front
from .stage import Scene, scene


@dataclass(frozen=True, slots=True)
class Case:
    """A printed configuration in which `old` was replaced by `new`, and `outside` put around it; {site}, {id} and
    {world} stand for what they are. The warning says `fact`, and `hint`; its line is the one that has `line`.
    `stale` is a URL that shows the release before, and `refused` one that is not answered any more."""

    kind: str
    name: str
    old: str
    new: str
    fact: str
    hint: str
    line: str
    outside: str = ""
    stale: str | None = None
    refused: str | None = None


FILES = "/static/a.css"
CASES = [
    Case(
        "nginx", "open_file_cache", "open_file_cache off;", "", "goes on showing files", "open_file_cache off;",
        "open_file_cache max", "open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;",
    ),
    Case(
        "nginx", "disable_symlinks", "disable_symlinks off;", "disable_symlinks on;", "refuses",
        "disable_symlinks off;", "disable_symlinks on", refused=FILES,
    ),
    Case(
        "nginx", "alias of a release", "releases/$treeswap_release/", "releases/{id}/", "is one release",
        "{site}/current/media", "releases/{id}/", stale=FILES,
    ),
    Case(
        "nginx", "alias of a version", "releases/$treeswap_release/media/", "trees/media/{id}/", "is one release",
        "{site}/current/media", "trees/media/{id}/", stale=FILES,
    ),
    Case(
        "nginx", "socket of a release", "current/run/", "run/{id}/", "is one release", "{site}/current/run/web.sock",
        "run/{id}/", stale="/page",
    ),
    Case(
        "nginx", "keepalive", "proxy_pass http://unix:{site}/current/run/web.sock;\n"
        "        proxy_http_version 1.1;\n        proxy_set_header Connection $treeswap_connection;",
        'proxy_pass http://app;\n        proxy_http_version 1.1;\n        proxy_set_header Connection "";',
        "keepalive keeps connections", 'Connection "close"', "keepalive 8",
        "upstream app {{ server unix:{site}/current/run/web.sock; keepalive 8; }}", stale="/page",
    ),
    Case(
        "nginx", "PHP", "    location / {{", "    location ~ [.]php$ {{\n"
        "        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n"
        "        fastcgi_pass unix:/run/php.sock;\n    }}\n    location / {{",
        "SCRIPT_FILENAME is $document_root", "$realpath_root$fastcgi_script_name", "SCRIPT_FILENAME",
    ),
    Case(
        "apache", "Alias of a release", '"{site}/current/media/"', '"{site}/releases/{id}/media/"', "is one release",
        "{site}/current/media", "releases/{id}",
    ),
    Case(
        "apache", "socket of a release", "current/run/", "run/{id}/", "is one release", "{site}/current/run/web.sock",
        "run/{id}/", stale="/page",
    ),
    Case(
        "apache", "kept connections", " disablereuse=On", "", "keeps connections", "disablereuse=On", "web.sock",
        stale="/page",
    ),
    Case(
        "apache", "no links", "Options FollowSymLinks", "Options None", "let Apache follow", "Options FollowSymLinks",
        "Options None", refused=FILES,
    ),
    Case(
        "caddy", "root of a release", "current/media", "releases/{id}/media", "is one release", "{site}/current/media",
        "releases/{id}/media", stale=FILES,
    ),
    Case(
        "caddy", "socket of a release", "current/run/", "run/{id}/", "is one release", "{site}/current/run/web.sock",
        "run/{id}/", stale="/page",
    ),
    Case(
        "caddy", "kept connections", "keepalive off", "keepalive 60s", "keeps connections", "keepalive off",
        "web.sock", stale="/page",
    ),
    Case(
        "caddy", "PHP", "        handle_path", "        handle /php/* {{\n            root * {site}/current/apps\n"
        "            php_fastcgi unix//run/php.sock\n        }}\n        handle_path", "php_fastcgi tells PHP",
        "resolve_root_symlink", "current/apps",
    ),
]  # fmt: skip


@pytest.fixture
def scenes(bench: Bench) -> Iterator[Callable[[str], Scene]]:
    with scene("", bench) as made:

        def of(kind: str) -> Scene:
            made.kind = kind
            return made

        yield of


def inspected(at: Scene, front: Front) -> list[Finding]:
    return SERVERS[at.kind].inspect(at.seen(front), at.watched)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_it_is_seen_and_does_what_is_said(case: Case, scenes: Callable[[str], Scene]) -> None:
    at = scenes(case.kind)
    id = at.release("v1")

    def filled(text: str) -> str:
        return text.format(site=at.bench.site_root, id=id, world=at.bench.world)

    printed, old = at.printed(), filled(case.old)
    assert old in printed
    with at.front(printed.replace(old, filled(case.new)), filled(case.outside)) as front:
        found = inspected(at, front)
        assert {(it.what, it.ok, it.warning) for it in found} == {(case.kind, False, True)}
        warned = next(it for it in found if case.fact in it.detail)
        assert filled(case.hint) in (warned.hint or "")
        assert _line_of(warned, front, filled(case.line))
        for _ in range(10):
            front.ask("/page"), front.ask(FILES)
        at.release("v2")
        if case.stale:
            assert "v1" in {front.ask(case.stale).text for _ in range(10)}
        if case.refused:
            assert front.ask(case.refused).status in (403, 404)


def _line_of(warned: Finding, front: Front, text: str) -> bool:
    file, _, rest = warned.detail.partition(": ")[0].rpartition(":")
    return Path(file).parent == front.room and text in Path(file).read_text().splitlines()[int(rest) - 1]


def test_apache_is_told_when_owners_differ(scenes: Callable[[str], Scene]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    at = scenes("apache")
    at.release("v1")
    text = at.printed().replace("Options FollowSymLinks", "Options SymLinksIfOwnerMatch")
    with at.front(text) as front:
        assert [it.ok for it in inspected(at, front)] == [True]
        assert front.ask(FILES).status == 200
        version = at.bench.slot("media")
        os.chown(version, pwd.getpwnam("nobody").pw_uid, -1)
        found = inspected(at, front)
        assert "SymLinksIfOwnerMatch refuses the symlink" in found[0].detail
        assert str(at.bench.site_root / "current/media") in found[0].detail
        assert front.ask(FILES).status == 403


def test_files_out_of_reach_are_told(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        version = front_of.bench.slot("media")
        (version / "a.css").chmod(0)
        (version / "sub").chmod(0)
        found = inspected(front_of, front)
        assert len(found) == 1
        assert "cannot read 2 of the entries" in found[0].detail
        assert front.ask(FILES).status == 403
        version.chmod(0)
        found = inspected(front_of, front)
        assert f"{version} has no x bit" in found[0].detail
        assert found[0].warning
        version.chmod(0o755)


def test_a_socket_out_of_reach_is_told(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        socket = front_of.bench.site_root / "current/run/web.sock"
        socket.chmod(0)
        found = inspected(front_of, front)
        assert [(it.warning, "web.sock has no w bit" in it.detail) for it in found] == [(True, True)]
        assert front.ask("/page").status in (502, 503)


def test_a_server_of_other_sites_is_left_alone(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        other = front_of.watched.__class__(front_of.bench.root / "elsewhere", {})
        assert SERVERS[front_of.kind].inspect(front_of.seen(front), other) == []


def test_one_that_cannot_be_read_is_told_and_how(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        (front.room / "main.conf").unlink()
        with pytest.raises(Unreadable, match=r"main\.conf cannot be read"):
            inspected(front_of, front)
        found = [it for it in front_of.bench.site.check() if str(front.process.pid) in it.detail]
        assert [(it.what, it.ok, "treeswap check" in (it.hint or "")) for it in found] == [(front_of.kind, None, True)]


def test_one_that_has_ended_is_none(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        assert front.process.pid in {it.pid for it in here(SERVERS.values())}
        front.process.terminate()
        wait_for(lambda: Path(f"/proc/{front.process.pid}/cmdline").read_bytes() == b"", "it ends")
        assert front.process.pid not in {it.pid for it in here(SERVERS.values())}


def test_an_ordinary_user_is_told_what_may_be_read(front_of: Scene) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    front_of.release("v1")
    with front_of.front() as front:

        def looks_well() -> None:
            assert [it.ok for it in inspected(front_of, front)] == [True]

        def is_refused() -> None:
            with pytest.raises(Unreadable, match=r"main\.conf cannot be read: Permission denied"):
                inspected(front_of, front)

        as_nobody(looks_well)
        (front.room / "main.conf").chmod(0o600)
        as_nobody(is_refused)
