"""The library is silent, reads no environment, and needs nothing but the standard library."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from bench import Bench

_STORY = """
import sys

class Refusing:
    def __getattribute__(self, name):
        raise AssertionError("the environment was read")
    def __getitem__(self, key):
        raise AssertionError("the environment was read")
    def __contains__(self, key):
        raise AssertionError("the environment was read")
    def __iter__(self):
        raise AssertionError("the environment was read")

class Blocked:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "treeswap":
            raise ModuleNotFoundError(f"{name} is not of the standard library", name=name)

sys.meta_path.insert(0, Blocked())
import os
from pathlib import Path
root = Path(sys.argv[1])
from treeswap.site import Pair, Site
import pwd, subprocess, socket, tempfile
os.environ = os.environb = os.getenv = Refusing()
def words(text):
    for name in ("apps", "conf"):
        (root / "work" / name / "f").write_text(text)
    return [Pair(root / "work" / name, root / "world" / name) for name in ("apps", "conf")]
pairs = words("v1")
site = Site.for_copy(pairs, root / "site")
site.deploy(site.request_for(pairs, adopt=True))
words("v2")
site = Site.open(root / "world/apps")
site.deploy(site.request_for(pairs))
site.rollback()
site.status(); site.releases(); site.history(); site.diff(); site.verify(); site.check(site.request_for(pairs))
site.hold("why"); site.release_hold(); site.recover(); site.plan(site.request_for(pairs))
with site.pin() as release:
    assert (release["apps"] / "f").read_text() == "v1"
site.prune(grace=0.0)
site.unadopt()
"""


def test_a_whole_life_without_a_word(bench: Bench) -> None:
    bench.tree("apps", {"f": "v1"}).tree("conf", {"f": "v1"}).live("apps", {"f": "v0"})
    done = subprocess.run([sys.executable, "-c", _STORY, str(bench.root)], capture_output=True, text=True)
    assert (done.stderr, done.stdout, done.returncode) == ("", "", 0)


def test_the_public_names_are_exactly_all() -> None:
    code = textwrap.dedent(
        """
        import treeswap
        for name in treeswap.__all__:
            getattr(treeswap, name)
        assert dir(treeswap) == sorted(treeswap.__all__), dir(treeswap)
        try:
            treeswap.nothing
        except AttributeError:
            print("well")
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "well\n"


def test_progress_goes_to_one_callable(bench: Bench) -> None:
    bench.version("v1")
    steps: list[str] = []
    site = bench.site
    site.listener = lambda event: steps.append(event.step)
    site.deploy(bench.request())
    order = [step for step in dict.fromkeys(steps) if step != "note"]
    assert order == ["check", "stage", "seal", "switch", "switching", "switched", "confirm", "retire"]
