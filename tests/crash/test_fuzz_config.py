"""Bad input in treeswap.toml: an error that names the file, or a configuration that makes sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from treeswap import config
from treeswap.release import tree_name

from .fuzz import Random, spoilt_bytes
from .fuzz_feed import fed, rounds, spoilings

CONFIG = b"""name = "example.com"
deploy_to = "site"
keep_releases = 5
grace = "60s"
default_env = "production"
[trees.apps]
source = "apps"
path = "/something/apps"
shared = ["uploads/", ".env"]
exclude = [".git", "*.pyc"]
[trees.conf]
path = "~/conf"
touch = ["wsgi.py"]
[commands]
after_switch = ["true", "echo ${HOME}"]
[env.production]
grace = 3.5
[env.production.trees.apps]
trees_dir = "${HOME}/vault"
"""
WORDS = (
    *(b'""', b"[]", b"{}", b"-1", b"0", b"true", b"nan", b"inf", b"1e999", b"9" * 5000, b"0x" + b"f" * 400, b"9" * 400),
    *(b'"\\u0000"', b'"${"', b'"${}"', b'"${NONE}"', b'"~nobody-at-all/x"', b'"~"', b'"../.."', b'["a", 1]', b'"9e9"'),
    *(b"[" * 3000, b'"' + b"9" * 400 + b'"', b'{ a = "b" }', b'"\xff"', b"'''", b'"90w"', b'["../x"]', b'["/x", ""]'),
    *(b"1979-05-27", b"2026-13-45", b'["\\u0000"]', b'"999999999w"'),
)


def spoilt_config(rng: Random, data: bytes) -> bytes:
    """Another value for a key, another key, a line more or less."""
    lines = data.splitlines()
    number = rng.randrange(len(lines))
    key, equals, _ = lines[number].partition(b" = ")
    match rng.randrange(5):
        case 0:
            lines.insert(rng.randrange(len(lines)), lines[number])
        case 1:
            del lines[number]
        case 2:
            lines[number] = lines[number].replace(rng.choice([b"a", b"e", b"s", b"."]), rng.choice([b"", b"..", b"x"]))
        case _:
            lines[number] = key + b" = " + rng.choice(WORDS) if equals else b"[" + rng.choice(WORDS) + b"]"
    return b"\n".join(lines) + b"\n"


def test_configurations(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    file = tmp_path / "treeswap.toml"

    def read(data: bytes) -> object:
        file.write_bytes(data)
        return config.load(file, None, {"HOME": "/home/x"})

    assert isinstance(fed(read, CONFIG, "the good one"), config.Config)
    for told, data in spoilings("config", CONFIG, (spoilt_bytes, *5 * (spoilt_config,)), 1500):
        value = fed(read, data, told)
        if isinstance(value, config.Config):
            assert all(tree_name(name) == name for name in value.trees), told
            assert 0 <= value.settings.grace < float("inf") and value.settings.keep_releases >= 1, told
    record_property("figures", f"configurations: {rounds(1500)} inputs")
