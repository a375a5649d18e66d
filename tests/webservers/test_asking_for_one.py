"""Which trees and processes a configuration serves, and how `treeswap webserver` and `check` are used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import Bench
from treeswap.errors import UsageError
from treeswap.process import Process

from .stage import Scene, scene


@pytest.fixture
def nginx(bench: Bench) -> Iterator[Scene]:
    with scene("nginx", bench) as made:
        yield made


def test_a_server_that_is_not_known_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match="'lighttpd' is no web server"):
        site_of(bench, "media").site.webserver("lighttpd")


def site_of(bench: Bench, *trees: str, processes: tuple[Process, ...] = ()) -> Bench:
    """A deployed site with these trees; its settings name these processes."""
    for name in trees:
        bench.tree(name, {"f": "v1"})
    bench.deploy()
    site = bench.site
    file = site.ground.site
    site.write_site(replace(file, settings=replace(file.settings, processes=processes)))
    return bench


def test_only_what_is_called_so_is_served(bench: Bench) -> None:
    text = site_of(bench, "apps", "conf", "media", "public").site.webserver("nginx", host="a.example")
    assert [line.split()[1] for line in text.splitlines() if "location /" in line and "=" not in line] == [
        "/media/",
        "/",
    ]
    assert "# Not served: apps, conf. To serve one: --static TREE=/URL/" in text
    assert "proxy_pass" not in text


def test_a_public_path_tells_as_well_as_a_name(bench: Bench) -> None:
    bench.tree("files", {"f": "v1"}, bench.world / "htdocs")
    text = site_of(bench, "conf").site.webserver("caddy", host="a.example")
    assert "handle_path /* {" in text and "current/files" in text and "current/conf" not in text


def test_a_tree_in_which_a_process_runs_is_not_served(bench: Bench) -> None:
    web = Process("web", "serve {socket}", tree="media")
    text = site_of(bench, "media", "static", processes=(web,)).site.webserver("nginx", host="a.example")
    assert "location /media/" not in text and "location /static/" in text


def test_processes_with_a_socket_get_requests(bench: Bench) -> None:
    processes = (
        Process("web", "serve {socket}", instances=2),
        Process("api", "serve {socket}"),
        Process("queue", "work"),
    )
    site = site_of(bench, "conf", processes=processes).site
    text = site.webserver("nginx", host="a.example")
    run = f"{bench.site_root}/current/run"
    assert f"server unix:{run}/web.sock;\n    server unix:{run}/web.2.sock;" in text
    assert f"location /api/ {{\n        proxy_pass http://unix:{run}/api.sock;" in text
    assert "queue" not in text
    moved = site.webserver("nginx", host="a.example", processes={"api": "/"})
    assert f"location / {{\n        proxy_pass http://unix:{run}/api.sock;" in moved and "web.sock" not in moved


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"static": {"none": "/x/"}}, "no tree 'none'"),
        ({"static": {"media": "x"}}, "begins and ends with a slash"),
        ({"static": {"media": "/x;/"}}, "begins and ends with a slash"),
        ({"static": {"media": "/x/", "conf": "/x/"}}, "is both media's and conf's"),
        ({"static": {"media": "/"}}, "is both the tree media's and a process's"),
        ({"processes": {"none": "/"}}, "no process 'none'"),
        ({"host": "a b"}, "is no name of a host"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], says: str, bench: Bench) -> None:
    site = site_of(bench, "media", "conf", processes=(Process("web", "serve {socket}"),)).site
    with pytest.raises(UsageError, match=says) as refused:
        site.webserver("nginx", **{"host": "a.example", **options})
    assert refused.value.hint


def test_a_site_with_nothing_to_serve_is_told_what_to_say(bench: Bench) -> None:
    with pytest.raises(UsageError) as refused:
        site_of(bench, "conf").site.webserver("nginx", host="a.example")
    assert "--static conf=/" in (refused.value.hint or "")


def test_a_path_that_would_break_the_configuration_is_refused(bench: Bench) -> None:
    bench.site_root = bench.root / "a site; root /"
    bench.site_root.mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot stand in"):
        site_of(bench, "media").site.webserver("nginx", host="a.example")


# ---------------------------------------------------------------- the commands


def run(*words: str, exits: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "treeswap", *words], capture_output=True, text=True, check=False)
    assert done.returncode == exits, done
    return done


def test_the_command_prints_what_a_server_takes(nginx: Scene) -> None:
    nginx.release("v1")
    words = ["--site", str(nginx.bench.site_root), "--host", "site.example", "--port", str(nginx.port)]
    text = run("webserver", "nginx", *words, "--static", "media=/files/", "--retry-after", "5m").stdout
    assert "add_header Retry-After 300 always;" in text
    with nginx.front(nginx.here(text)) as front:
        assert front.ask("/files/a.css").text == "v1"
    answer = json.loads(run("--json", "webserver", "nginx", *words, "--static", "media=/files/").stdout)
    assert (answer["server"], "location /files/" in answer["configuration"]) == ("nginx", True)


def test_the_command_refuses_a_word_without_a_url(bench: Bench) -> None:
    site = str(site_of(bench, "media").site_root)
    assert "--static TREE=/URL/" in run("webserver", "apache", "--site", site, "--static", "media", exits=2).stderr


def test_check_warns_and_goes_well(nginx: Scene) -> None:
    nginx.release("v1")
    text = nginx.printed().replace("open_file_cache off;", "open_file_cache max=10;")
    with nginx.front(text) as front:
        line = next(n for n, it in enumerate(text.splitlines(), 1) if "open_file_cache max" in it)
        shown = run("check", "--site", str(nginx.bench.site_root)).stdout
        assert f"WARNING  nginx                 {front.file}:{line}: open_file_cache" in shown
        assert "hint: put into the site's server block: open_file_cache off;" in shown
        found = json.loads(run("--json", "check", "--site", str(nginx.bench.site_root)).stdout)["findings"]
        warned = [it for it in found if it["warning"]]
        assert [(it["what"], it["ok"]) for it in warned] == [("nginx", False)]
        assert Path(warned[0]["detail"].partition(":")[0]) == front.file
