"""Configurations as text: what is read of them, and the rules that need no server to be seen at."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import Bench
from treeswap.release import Tree
from treeswap.webservers import Watched, apache_syntax, nginx_rules, nginx_syntax
from treeswap.webservers.reach import blocked, closed_in
from treeswap.webservers.seam import Reader, Unreadable

ID = "20261122180102"


def test_nginx_is_read_with_quotes_comments_and_includes(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.conf").write_text("\n\nroot /srv/b;")
    (tmp_path / "more/a.conf").write_text('add_header X "a; b # {c}";\n')
    (tmp_path / "nginx.conf").write_text(
        "events {}  # not this; {\nhttp {\n  content_by_lua_block { if a then b = { 1 } end; root /no; }\n"
        "  map $a $b { default 'it''s'; ~^/x{2}$ ${c}d; }\n  include more/*.conf;\n  server { listen 80\n  ; }\n}\n"
    )
    events, http = nginx_syntax.read(tmp_path / "nginx.conf")
    assert (events.words, events.block) == (("events",), ())
    assert http.block is not None
    assert [it.name for it in http.block] == ["content_by_lua_block", "map", "add_header", "root", "server"]
    assert http.block[2].words == ("add_header", "X", "a; b # {c}")
    assert http.block[3].where == f"{tmp_path}/more/b.conf:3"
    assert (http.block[4].line, http.block[4].block[0].words) == (6, ("listen", "80"))  # type: ignore[index]


def test_apache_is_read_with_continuations_variables_and_conditions(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/one.conf").write_text('Define ROOT /srv/one\nAlias "/a b/" \\\n  "${ROOT}/c d"\n')
    (tmp_path / "main.conf").write_text(
        f"# no\nServerRoot {tmp_path}\nIncludeOptional sites/*.conf\nIncludeOptional none/*.conf\n"
        "<IfModule mod_x.c>\n  Options -Indexes\n"
        "</IfModule>\n<IfModule !mod_x.c>\n  Options None\n</IfModule>\n<Directory ${ROOT}>\n  Options ${OUTER}\n"
        "</Directory>\n"
    )
    alias, options, directory = apache_syntax.Reading(Path("/nowhere"), {"OUTER": "All"}).file(tmp_path / "main.conf")
    assert alias.words == ("alias", "/a b/", "/srv/one/c d")
    assert alias.where == f"{tmp_path}/sites/one.conf:2"
    assert options.words == ("options", "-Indexes")
    assert directory.words == ("directory", "/srv/one")
    assert directory.block is not None and directory.block[0].words == ("options", "All")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("include gone.conf;")
    (tmp_path / "apache.conf").write_text("Include gone.conf")
    with pytest.raises(Unreadable, match=r"gone\.conf"):
        nginx_syntax.read(tmp_path / "nginx.conf")
    with pytest.raises(Unreadable, match=r"gone\.conf"):
        apache_syntax.Reading(tmp_path).file(tmp_path / "apache.conf")


@pytest.mark.parametrize(
    ("version", "directive", "header", "warned"),
    [
        ((1, 29, 6), "", '""', False),
        ((1, 29, 7), "", '""', True),
        ((1, 31, 0), "keepalive 0;", '""', False),
        ((1, 22, 1), "keepalive 4;", '""', True),
        ((1, 31, 0), "", "close", False),
        ((1, 31, 0), "", "$closed", False),
        ((1, 31, 0), "", "$other", True),
        (None, "", '""', False),
    ],
)
def test_nginx_keeps_connections_by_default_from_some_version_on(
    version: tuple[int, ...] | None, directive: str, header: str, warned: bool, tmp_path: Path
) -> None:
    (tmp_path / "nginx.conf").write_text(
        'http { map $http_upgrade $closed { default upgrade; "" close; } map $http_upgrade $other { default ""; }\n'
        f"upstream app {{ server unix:{tmp_path}/site/current/run/web.sock; {directive} }}\n"
        f"server {{ location / {{ proxy_pass http://app; proxy_set_header Connection {header}; }} }} }}"
    )
    found = nginx_rules.broken(nginx_syntax.read(tmp_path / "nginx.conf"), Watched(tmp_path / "site"), version)
    assert bool(found) == warned


def test_what_is_said_further_out_holds_until_it_is_said_anew(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(
        f"http {{ open_file_cache max=9;\n server {{ root {tmp_path}/site/current/media; open_file_cache off; }}\n"
        "server { root /elsewhere; } }"
    )
    watched = Watched(tmp_path / "site", {"media": Tree("media")})
    assert nginx_rules.broken(nginx_syntax.read(tmp_path / "nginx.conf"), watched, None) == []


def test_a_path_is_known_by_whatever_name(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "current/media").mkdir(parents=True)
    (tmp_path / "www").mkdir()
    (tmp_path / "alias").symlink_to(site)
    (tmp_path / "web").symlink_to(tmp_path / "www")
    trees = {"media": Tree("media", tmp_path / "www/media"), "far": Tree("far", trees_dir=tmp_path / "disk")}
    watched = Watched(site, trees)
    for text in ("site/current/media/css", "alias/current/media/", "www/media", "web/media/css", "www"):
        assert watched.served(f"{tmp_path}/{text}") == ["media"], text
    assert watched.served(f"{site}/releases/$release/media/") == ["media"]
    assert watched.served(f"{tmp_path}/elsewhere") == watched.served("/") == watched.served("relative") == []
    assert watched.followed(f"{tmp_path}/alias/releases/{ID}/media/css") == f"{site}/current/media/css"
    assert watched.followed(f"{site}/trees/media/{ID}") == f"{site}/current/media"
    assert watched.followed(f"{tmp_path}/disk/{ID}/a") == f"{site}/current/far/a"
    assert watched.followed(f"{site}/run/{ID}/web.sock") == f"{site}/current/run/web.sock"
    assert watched.followed(f"{site}/current/media") is watched.followed(f"{site}/releases/$release/media") is None


def test_bits_are_those_of_owner_group_and_others(bench: Bench) -> None:
    tree = bench.root / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "file").write_text("x")
    (bench.root / "link").symlink_to(tree)
    status = (tree / "file").stat()
    owner = Reader(status.st_uid or 1, frozenset({12345}))
    mate, other = Reader(54321, frozenset({status.st_gid})), Reader(54321, frozenset({12345}))
    (tree / "file").chmod(0o640)
    assert blocked(bench.root / "link/file", mate, 4) is None
    assert closed_in(tree, mate) == (0, None)
    assert closed_in(tree, other) == (1, f"{tree}/file")
    tree.chmod(0o710)
    assert blocked(bench.root / "link/file", mate) is None
    assert blocked(bench.root / "link/file", other) == f"{tree} has no x bit for it"
    assert blocked(bench.root / "link/gone", other) is not None
    if status.st_uid:
        (tree / "file").chmod(0o046)
        assert blocked(tree / "file", owner, 4) is not None


def test_a_link_out_of_a_tree_is_followed(bench: Bench) -> None:
    (bench.root / "shared").mkdir()
    (bench.root / "shared/secret").write_text("x")
    (bench.root / "shared").chmod(0o700)
    (bench.root / "tree").mkdir()
    (bench.root / "tree/uploads").symlink_to(bench.root / "shared")
    stranger = Reader(54321, frozenset({12345}))
    assert closed_in(bench.root / "tree", stranger) == (1, f"{bench.root}/tree/uploads")
