"""treeswap.toml: what is accepted, what it comes to, and what each refusal says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treeswap import config
from treeswap.config import toml
from treeswap.config.excludes import excluding
from treeswap.config.values import duration, duration_text, expand
from treeswap.errors import ConfigError, UsageError
from treeswap.process import Process
from treeswap.release import Command, Settings, Tree
from treeswap.site import Site

ENVIRON = {"HOME": "/home/ann", "PLACE": "/srv/place"}


def loaded(directory: Path, text: str, env: str | None = None, environ: Mapping[str, str] = ENVIRON) -> config.Config:
    file = directory / "treeswap.toml"
    file.write_text(text)
    return config.load(file, env, environ)


def refused(directory: Path, text: str, env: str | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(directory, text, env)
    assert "treeswap.toml" in error.value.message
    return f"{error.value.message} | {error.value.hint} | {error.value.cause}"


def test_an_empty_file_has_every_default(tmp_path: Path) -> None:
    empty = loaded(tmp_path, "")
    assert (empty.name, empty.deploy_to, empty.env) == (None, None, None)
    assert (empty.settings, empty.trees, empty.sources) == (Settings(), {}, {})
    assert loaded(tmp_path, "[trees.apps]").trees == {"apps": Tree("apps")}


def test_every_key(tmp_path: Path) -> None:
    full = loaded(
        tmp_path,
        """
        name = "example.com"
        deploy_to = "~/site"
        keep_releases = 7
        grace = "5m"
        group = "www"
        public_paths = "links"
        maintenance = "manual"
        default_env = "a"
        [trees.apps]
        source = "apps/"
        path = "/something/my_apps/"
        trees_dir = "${PLACE}/trees"
        shared = ["uploads/", ".env"]
        exclude = [".git", "*.pyc"]
        touch = ["wsgi.py"]
        ignore = []
        [commands]
        build = ["make", { run = "npm ci", tree = "apps", writes = ["apps/dist/", "apps"], timeout = "2m" }]
        migrate = [{ run = "migrate", exclusive = true }]
        after_switch = ["echo $HOME ${HOME} $${HOME}"]
        on_failure = [{ run = "mail", where = "local" }]
        [env.a]
        """,
    )
    assert (full.name, full.deploy_to, full.env) == ("example.com", Path("/home/ann/site"), "a")
    assert full.settings == Settings(
        7,
        300.0,
        "www",
        after_switch=(Command("echo $HOME /home/ann ${HOME}"),),
        build=(Command("make"), Command("npm ci", "apps", ("apps/dist", "apps"), timeout=120.0)),
        migrate=(Command("migrate", exclusive=True),),
        on_failure=(Command("mail", local=True, directory=tmp_path),),
        maintenance="manual",
    )
    assert full.sources == {"apps": tmp_path / "apps"}
    assert full.trees == {
        "apps": Tree(
            "apps",
            Path("/something/my_apps"),
            Path("/srv/place/trees"),
            ("uploads/", ".env"),
            (".git", "*.pyc"),
            ("wsgi.py",),
            (),
        )
    }


def test_an_environment_overrides_any_key_and_no_other(tmp_path: Path) -> None:
    text = """
        keep_releases = 3
        grace = 10
        [trees.apps]
        source = "apps"
        shared = ["a/"]
        [env.production]
        grace = "1h"
        [env.production.trees.apps]
        shared = ["b/"]
        [env.production.trees.more]
        source = "more"
        [env.test]
        keep_releases = 1
        """
    production = loaded(tmp_path, text, "production")
    assert (production.settings.keep_releases, production.settings.grace) == (3, 3600)
    assert production.trees["apps"].shared == ("b/",) and set(production.sources) == {"apps", "more"}
    test = loaded(tmp_path, text, "test")
    assert (test.settings.keep_releases, test.settings.grace, list(test.trees)) == (1, 10, ["apps"])
    assert "production, test" in refused(tmp_path, text)
    assert "did you mean test" in refused(tmp_path, text, "tset")
    assert "no environment 'x'" in refused(tmp_path, "name = 'y'", "x")


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("nmae = 'x'", "nmae", "did you mean name?"),
        ("[trees.apps]\nsorce = 'x'", "trees.apps.sorce", "did you mean trees.apps.source?"),
        ("[commands]\nbuild = [{ rum = 'x' }]", "commands.build[0].rum", "did you mean commands.build[0].run?"),
        ("[commands]\nafter_swich = []", "commands.after_swich", "did you mean commands.after_switch?"),
        ("[env.p.trees.apps]\npth = 'x'", "env.p.trees.apps.pth", "did you mean env.p.trees.apps.path?"),
        ("shared = []", "shared", "trees.NAME.shared"),
        ("[trees.apps]\nkeep_releases = 1", "trees.apps.keep_releases", "top of the file"),
        ("zzz = 1", "zzz", "known here: name, deploy_to"),
        ("[env.p]\ndefault_env = 'x'", "env.p.default_env", "top of the file"),
    ],
)
def test_an_unknown_key_is_named_with_its_path_and_the_nearest(tmp_path: Path, text: str, key: str, near: str) -> None:
    told = refused(tmp_path, text)
    assert f"unknown key {key} " in told and near in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("keep_releases = '5'", "keep_releases: must be a whole number, not a text"),
        ("keep_releases = true", "keep_releases: must be a whole number, not a boolean"),
        ("keep_releases = 0", "keep_releases: must be at least 1"),
        ("grace = 'soon'", "grace: 'soon' is not a duration"),
        ("grace = -1", "grace: -1 is not a duration"),
        ("grace = inf", "grace: inf is not a duration"),
        ("grace = []", 'grace: must be a number of seconds or a text like "60s", not a list'),
        ("trees = 1", "trees: must be a table, not a number"),
        ("[trees]\napps = 'x'", "trees.apps: must be a table, not a text"),
        ("[trees.apps]\nshared = 'x'", "trees.apps.shared: must be a list of texts, not a text"),
        ("[trees.apps]\nshared = [1]", "trees.apps.shared: must be a list of texts, not a list with other things"),
        ("[trees.apps]\nshared = ['../x']", "trees.apps.shared: '../x' is not a path inside the tree"),
        ("[trees.apps]\ntouch = ['/x']", "trees.apps.touch: '/x' is not a path inside the tree"),
        ("[trees.apps]\npath = ''", "trees.apps.path: the path is empty"),
        ("[trees.apps]\npath = '~nobody-here/x'", "~nobody-here is nobody's home directory"),
        ("[trees.run]", "trees.run: 'run' is a reserved name"),
        ("[trees.'a b']", "trees.a b: 'a b' cannot name a tree"),
        ("public_paths = 'directories'", "public_paths: 'directories' is not supported"),
        ("name = '${MISSING}'", "name: the environment variable MISSING is not set"),
        ("default_env = 'a'\n[env.a]\ngrace = 'x'", "env.a.grace: 'x' is not a duration"),
        ("default_env = 'a'\n[env.a.trees.t]\nsource = '${NO}'", "env.a.trees.t.source: the environment variable NO"),
        ("default_env = 'a'\n[env.a]\n[env.b]\ngrace = {}", "env.b.grace: must be a number of seconds"),
        ("name = 'x\ny = 1", "is not TOML"),
        ("name = 1\n\nname = 2", "line 3"),
    ],
)
def test_a_refusal_says_where_and_why(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "missing.toml", None, {})
    (tmp_path / "x.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(tmp_path / "x.toml", None, {})


def test_where_the_site_is(tmp_path: Path) -> None:
    assert loaded(tmp_path, "deploy_to = 'here'").site().root == tmp_path / "here"
    from_paths = loaded(tmp_path, "[trees.apps]\npath = 'apps'").site()
    assert from_paths.root == tmp_path / ".treeswap/apps" and not from_paths.exists
    with pytest.raises(ConfigError, match="does not say where the site is"):
        loaded(tmp_path, "[trees.apps]").site()


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("[commands]\nbuild = [1]", "commands.build", "must be a list of commands"),
        ("[commands]\nbuild = [{ run = 1 }]", "commands.build[0].run", "must be a text"),
        ("[commands]\nmigrate = [{ run = 'x', exclusive = 1 }]", "migrate[0].exclusive", "must be true or false"),
        ("[commands]\nbuild = ['a', { writes = [] }]", "commands.build[1]", "must say what to run"),
        ("[commands]\nbuild = [{ run = 'x', tree = 'y' }]", "commands.build[0].tree", "there is no tree 'y'"),
        ("[commands]\nbuild = [{ run = 'x', writes = ['y/z'] }]", "commands.build[0].writes", "there is no tree 'y'"),
        ("[commands]\nbuild = [{ run = 'x', exclusive = true }]", "exclusive", "belongs to the commands of commands.m"),
        ("[commands]\nmigrate = [{ run = 'x', writes = [] }]", "writes", "belongs to the commands of commands.build"),
        ("[commands]\nbuild = [{ run = 'x', where = 'here' }]", "commands.build[0].where", 'must be "host" or "local"'),
        ("[commands]\nbuild = [{ run = 'x', timeout = 'y' }]", "commands.build[0].timeout", "is not a duration"),
        ("[commands]\nbuild = [{ run = 'x', where = 'local', writes = [] }]", "writes", "in no tree"),
        ("maintenance = 'on'", "maintenance", "must be one of auto, manual"),
    ],
)
def test_a_command_that_makes_no_sense_is_named(tmp_path: Path, text: str, key: str, problem: str) -> None:
    told = refused(tmp_path, text)
    assert key in told and problem in told


def test_a_request_has_every_tree_and_what_was_agreed_to(tmp_path: Path) -> None:
    made = loaded(tmp_path, "name = 'n'\n[trees.apps]\nsource = 'a'\n[trees.conf]")
    request = made.request(adopt=True, label="v1")
    assert (request.name, request.sources, list(request.trees)) == ("n", {"apps": tmp_path / "a"}, ["apps", "conf"])
    assert request.adopt and request.label == "v1" and not request.force
    assert made.without_sources().request().sources == {}


def test_a_site_written_out_reads_the_same(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    remembered = Settings(
        9,
        90.0,
        None,
        after_switch=(Command("echo ${X} 'a' \"b\"\ttab\x7f"),),
        build=(Command("make {apps}", "dot.ted", ("apps/out", "dot.ted"), timeout=90.0), Command("lint", writes=())),
        migrate=(Command("migrate", exclusive=True),),
        on_failure=(Command("mail", local=True, directory=tmp_path),),
        maintenance="manual",
    )
    trees = {
        "apps": Tree("apps", tmp_path / "apps", None, ("up/",), ("*.pyc",), ("w.py",), ("x",)),
        "dot.ted": Tree("dot.ted"),
    }
    site = Site.create(tmp_path / "site", name="ex", trees=trees, settings=remembered)
    written = toml.dump(site)
    assert written.count('# source = "DIRECTORY"') == 2
    read = loaded(tmp_path, written)
    assert (read.name, read.deploy_to, read.settings, read.trees) == ("ex", site.root, remembered, site.trees)


@settings(max_examples=50, deadline=None)
@given(st.recursive(
    st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.lists(st.text()),
    lambda inner: st.dictionaries(st.text(), inner),
).filter(lambda value: isinstance(value, dict)))  # fmt: skip
def test_what_is_written_is_toml(table: dict[str, object]) -> None:
    def doubled(value: object) -> object:
        """What the file says: `${` is escaped for `load`."""
        if isinstance(value, dict):
            return {key: doubled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [doubled(item) for item in value]
        return value.replace("${", "$${") if isinstance(value, str) else value

    assert tomllib.loads(toml.dumps(table)) == _without_empty(doubled(table))


def _without_empty(value: object) -> object:
    """Tables without a value anywhere in them are not written."""
    if not isinstance(value, dict):
        return value
    inner = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in inner.items() if item != {}}


def test_a_path_that_toml_cannot_hold() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        toml.dumps({"path": "a\udcff"})


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [(0, 0), (1.5, 1.5), ("90", 90), ("60s", 60), ("5m", 300), ("24h", 86400), ("7d", 604800), (" 2 w ", 1209600)],
)
def test_durations(given_: object, seconds: float) -> None:
    assert duration(given_) == seconds
    assert duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize("given_", ["", "s", "1y", "1m30s", "-1", True, None, float("nan"), "1e3"])
def test_what_is_no_duration(given_: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration(given_)


def test_homes() -> None:
    assert expand("~", ENVIRON) == "/home/ann" and expand("~/x", ENVIRON) == "/home/ann/x"
    assert expand("~root/x", ENVIRON) == "/root/x" and expand("a/~", ENVIRON) == "a/~"
    assert expand("~/x", {}).startswith("/")


def test_excludes_are_those_of_gitignore() -> None:
    excluded = excluding(["*.pyc", "/build/", "node_modules/", "!keep.pyc", "docs/**/x", "# no", "\\#yes"])
    for path in ("a.pyc", "d/a.pyc", "new\nline/a.pyc", "docs/a/b/x", "#yes"):
        assert excluded(path, False), path
    for path in ("build", "node_modules", "d/node_modules", "new\nline/node_modules"):
        assert excluded(path, True), path
    for path in ("keep.pyc", "build", "d/node_modules", "# no", "a.py", "a.pyc\n.txt"):
        assert not excluded(path, False), path
    assert not excluded("d/build", True)


def test_a_pattern_that_means_nothing() -> None:
    with pytest.raises(UsageError, match="exclude"):
        excluding(["!"])


@pytest.mark.parametrize(
    "text",
    [
        "keep_releases = " + "9" * 5000,
        "grace = " + "9" * 400,
        'grace = "' + "9" * 400 + 's"',
        "name = " + 5000 * "[",
        'name = "a\\u0000b"',
        '[commands]\nafter_switch = ["\\u0000"]',
        '[trees.apps]\nexclude = ["\\u0000"]',
    ],
)
def test_what_is_beyond_all_measure_is_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text)


# ---------------------------------------------------------------- processes


def test_processes_and_what_is_said_of_them_all(tmp_path: Path) -> None:
    full = loaded(
        tmp_path,
        """
        process_manager = "supervisor"
        confirm_url = "https://example.com:8443/up?x"
        keep_warm = "10m"
        [trees.apps]
        [processes.web]
        command = "{apps}/run {socket}"
        tree = "apps"
        env = { HOME_OF = "${HOME}", PLACE = "${PLACE}/{instance}" }
        env_files = [".env"]
        health = "/alive"
        deploy_timeout = "1m"
        drain_timeout = 5
        instances = 2
        [processes.queue]
        command = "work"
        stop = "first"
        """,
    )
    settings = full.settings
    said = settings.process_manager, settings.confirm_url, settings.keep_warm
    assert said == ("supervisor", "https://example.com:8443/up?x", 600.0)
    env = {"HOME_OF": "/home/ann", "PLACE": "/srv/place/{instance}"}
    web = Process("web", "{apps}/run {socket}", "apps", env, (".env",), "/alive", 60.0, 5.0, 2)
    assert settings.processes == (web, Process("queue", "work", stop="first"))
    again = toml.dumps(toml.as_table(full.name, full.deploy_to, settings, full.trees, full.sources))
    assert loaded(tmp_path, again).settings == settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[processes.web]\ntree = 'apps'", "processes.web: has no command"),
        ("[processes.web]\ncommand = 'x'\ntree = 'app'", "treeswap.toml: processes.web.tree: there is no tree 'app'"),
        ("[processes.web]\ncommand = 'cd /srv/current/apps'", "names current/"),
        ("[processes.web]\ncommand = 'x {sokcet}'", "nothing is known as {sokcet}"),
        ("[processes.web]\ncommand = 'x'\nstop = 'never'", "processes.web.stop: 'never' is not one of first, last"),
        ("[processes.web]\ncommand = 'x'\ninstances = 0", "processes.web.instances: must be at least 1"),
        ("[processes.web]\ncommand = 'x'\nenv = { A = 1 }", "processes.web.env.A: must be a text"),
        ("[processes.web]\ncommand = 'x'\ndrain_timeout = 'soon'", "processes.web.drain_timeout: 'soon' is not a dur"),
        ("[processes.web]\ncommand = 'x'\nheatlh = '/'", "did you mean processes.web.health?"),
        ("[processes.'a b']\ncommand = 'x'", "cannot name a process"),
        ("health = '/'", "processes.NAME.health"),
        ("process_manager = 'upstart'", "process_manager: 'upstart' is not one of auto, systemd"),
        ("confirm_url = 'example.com/up'", "confirm_url: 'example.com/up' is no URL"),
        ("confirm_url = 'http://[::1'", "is no URL"),
        ("keep_warm = 'long'", "keep_warm: 'long' is not a duration"),
    ],
)
def test_processes_that_cannot_be(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, f"{text}\n[trees.apps]\n")
