"""What a process runs with: sealed with its release, but for what env files hold; its health; its plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .world import PYTHON, Served


def test_other_processes_alone_make_another_release_and_a_rollback_has_its_own(served: Served) -> None:
    served.configure(of_web='env = { SECRET = "v1" }')
    served.deploy("v1")
    first = served.current
    assert served.run("deploy").count("Nothing changed") == 1
    served.configure(of_web='env = { SECRET = "v1-of-two" }')
    served.run("deploy")
    assert served.current != first
    assert served.ask() == "v1 v1 v1 v1-of-two"
    served.run("rollback")
    assert (served.current, served.ask()) == (first, "v1 v1 v1 v1")


def test_what_env_files_hold_is_read_at_each_start_and_kept_nowhere(served: Served) -> None:
    secret = served.root / "secrets"
    secret.write_text("# of the test\nexport SECRET='hush hush'\n")
    served.configure(of_web=f"env_files = ['{secret}']")
    served.deploy("v1")
    assert served.ask() == "v1 v1 v1 hush hush"
    kept = [path for path in served.site_root.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    assert kept == []
    secret.write_text("SECRET=other\n")
    served.deploy("v2")
    assert served.ask() == "v2 v2 v2 other"
    served.run("rollback")
    assert served.ask() == "v1 v1 v1 other"


def test_bytecode_that_a_build_made_is_used_and_stays_right(served: Served) -> None:
    compile = f"{PYTHON} -m compileall -q --invalidation-mode unchecked-hash ."
    served.configure(rest=f'[commands]\nbuild = [{{ run = "{compile}", tree = "apps" }}]')
    for text in ("v1", "v2"):
        served.version(text)
        (served.root / "new/apps/module.py").write_text(f"TEXT = {text!r}\n")
        served.run("deploy")
        apps = (served.site_root / "current/apps").resolve()
        made = {path.name.partition(".")[0]: path.read_bytes() for path in (apps / "__pycache__").iterdir()}
        assert made.keys() == {"app", "impostor", "module", "worker"}
        assert {header[4:8] for header in made.values()} == {b"\1\0\0\0"}  # by hash, and not looked at again
        words = [sys.executable, "-v", "-c", "import module; print(module.TEXT)"]
        done = subprocess.run(words, cwd=apps, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == text
        assert f"code object from '{apps}/__pycache__/module" in done.stderr
    assert served.site.verify().problems == ()


def test_processes_run_from_real_directories(served: Served) -> None:
    served.deploy("v1")
    (pids,) = served.pids().values()
    real = served.site_root / "trees/apps" / served.current
    for pid in pids:
        assert Path(f"/proc/{pid}/cwd").readlink() == real
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [text for text in environment if text.startswith((b"PWD=", b"OLDPWD="))]
        assert b"PYTHONDONTWRITEBYTECODE=1" in environment
    assert not list(real.rglob("__pycache__"))


def test_health_may_be_for_a_command_to_say(served: Served) -> None:
    served.configure(of_web='health = "sh check"')
    served.deploy("v1", liar=True)
    served.configure(deploy_timeout=2)
    told = served.deploy("v2", exits=12, sick=True)
    assert "`sh check` ended with 3: not yet" in told
    served.serves("v1")


def test_a_release_has_one_of_each(served: Served) -> None:
    served.deploy("v1")
    assert "runs already" in served.run("exec", "--process", "web", exits=125)
    assert "has no process 'wbe'" in served.run("exec", "--process", "wbe", exits=125)
    assert "has no instance 2" in served.run("exec", "--process", "web", "--instance", "2", exits=125)
    assert "either" in served.run("exec", "--process", "web", "--", "true", exits=125)
    served.serves("v1")
