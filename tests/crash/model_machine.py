"""Any sequence of commands, and of what people and programs do beside them, on real directories and on the model.

    python -m crash.model_machine [--examples N] [--steps N]        from the directory tests

Every step must end as the model says, and then everything that can be looked at is compared. A killed command has one
of the ends that the model allows, and the disk says which.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from . import effort, model_changes
from .model import Files
from .model_agreement import Agreement, figures
from .model_changes import Wish
from .model_world import TREES, Kill
from .program import import_everything

some_trees = st.lists(st.sampled_from(TREES), min_size=1, max_size=3, unique=True)
one_tree = st.sampled_from(TREES)
data = st.sampled_from([b"1", b"2", b"three"])


def kills(calls: int) -> st.SearchStrategy[Kill | None]:
    """Kills of a command that makes some so many calls of `durable`; more often none."""
    of_durable = st.builds(Kill, st.sampled_from(["call", "done"]), st.integers(1, calls))
    return st.one_of(st.none(), st.none(), of_durable, st.builds(Kill, st.just("change"), st.integers(1, 3 * calls)))


long, short = kills(60), kills(8)
tokens = st.tuples(
    st.sampled_from(["id", "id", "id", "prefix", "label", "previous", "current", "nonsense"]), st.integers(0, 9)
)
labels = st.sampled_from([None, None, "v1", "v2"])
mostly = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False, False, False, True])

Token = tuple[str, int]

_APART = "TREESWAP_CRASH_APART"
_APART_FROM = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Whoever removes a release looks at all processes: here there are few."""


class Sites(Agreement):
    """Initial sites, and everything that may happen to one."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, dict[str, bytes]] = {tree: {} for tree in TREES}
        self.edits = 0

    # ------------------------------------------------------------ deploys

    @initialize(live=st.lists(one_tree, max_size=2, unique=True), uploads=st.booleans(), releases=st.integers(0, 3))
    def begin(self, live: list[str], uploads: bool, releases: int) -> None:
        """Some public paths are plain directories before there is a site; and there may be a site already."""
        for tree in live:
            self._make_plain(tree, {"f": b"live", **({"uploads/x": b"live 0"} if uploads else {})})
        for _ in range(releases):
            flags = {"force": False, "share": False, "add": False, "adopt": True, "leave_strays": False}
            self.deploy("copy", [*TREES], True, None, 3, 0, None, **flags)

    @rule(tree=one_tree, path=st.sampled_from(["f", "sub/g", "h"]), data=st.one_of(st.none(), data))
    def edit(self, tree: str, path: str, data: bytes | None) -> None:
        """A file of a source is written, or removed."""
        file = self.world.source(tree) / path
        if data is None:
            file.unlink(missing_ok=True)
            self.sources[tree].pop(path, None)
        else:
            self.world.write(self.world.source(tree), {path: data})
            self.sources[tree][path] = data

    @rule(
        how=st.sampled_from(["copy", "copy", "copy", "deploy", "stage"]),
        trees=some_trees,
        fresh=mostly,
        force=seldom,
        share=seldom,
        add=mostly,
        adopt=mostly,
        leave_strays=seldom,
        label=labels,
        keep=st.sampled_from([None, None, 1, 2, 3]),
        grace=st.sampled_from([None, None, 0, 3600]),
        kill=long,
    )
    def deploy(
        self, how: str, trees: list[str], fresh: bool, label: str | None, keep: int | None, grace: float | None,
        kill: Kill | None, **flags: bool,
    ) -> None:  # fmt: skip
        if fresh:
            self.edits += 1
            for tree in trees:
                self.edit(tree, "f", f"edit {self.edits}".encode())
        wish = Wish({tree: dict(self.sources[tree]) for tree in trees}, label=label, keep=keep, grace=grace, **flags)
        words = [f"--{name.replace('_', '-')}" for name, given in flags.items() if given and name != "share"]
        words += ["--label", label] if label else []
        if how == "copy":
            words += ["--keep", str(keep)] if keep is not None else []
            words += ["--grace", str(grace)] if grace is not None else []
            words += ["--shared", "media/uploads/"] if wish.share and "media" in trees else []
            words = [how, *self.world.pairs(trees), "--deploy-to", str(self.world.site.root), *words]
        else:
            asked = model_changes.with_what_is_asked(self.site, wish)
            words = [how, "--site", str(self.world.configured(trees, asked)), *words]
        self.change(
            words, lambda site, made: model_changes.deploy(site, wish, made, switches=how != "stage"), kill, sweeps=True
        )

    @rule(trees=some_trees, share=seldom, add=mostly, kill=long)
    def adopt(self, trees: list[str], share: bool, add: bool, kill: Kill | None) -> None:
        wish = Wish(dict.fromkeys(trees), share=share, add=add, adopt=True)
        words = ["adopt", *(str(self.world.public(tree)) for tree in trees), "--deploy-to", str(self.world.site.root)]
        words += ["--add"] if add else []
        words += ["--shared", "media/uploads/"] if share and "media" in trees else []
        self.change(words, lambda site, made: model_changes.deploy(site, wish, made), kill, sweeps=True)

    # ------------------------------------------------------------ going to what is there

    @precondition(lambda self: self.site.releases)
    @rule(token=tokens, adopt=mostly, leave_strays=seldom, kill=short)
    def switch(self, token: Token, adopt: bool, leave_strays: bool, kill: Kill | None) -> None:
        name = self._token(token)
        words = ["switch", name, *self.here(), *(["--adopt"] if adopt else [])]
        words += ["--leave-strays"] if leave_strays else []
        self.change(
            words,
            lambda site, made: model_changes.switch(site, name, made, adopt=adopt, leave_strays=leave_strays),
            kill,
        )

    @precondition(lambda self: self.site.releases)
    @rule(token=st.one_of(st.none(), st.none(), st.none(), tokens), kill=short)
    def rollback(self, token: Token | None, kill: Kill | None) -> None:
        name = None if token is None else self._token(token)
        words = ["rollback", *([] if name is None else [name]), *self.here()]
        self.change(words, lambda site, made: model_changes.rollback(site, name, made), kill)

    @precondition(lambda self: self.site.releases and not self.interrupted)
    @rule(number=st.integers(0, 9))
    def switch_by_hand(self, number: int) -> None:
        """`ln -s` and `mv -T`, as docs/on-disk.md shows it, to a release with all the trees that are public."""
        target = self.site.releases[self._id(number)]
        if self.site.links <= target.versions.keys():
            self.say(f"ln -s releases/{target.id} next; mv -T next current")
            self.world.switch_by_hand(target.id)
            self.site = replace(self.site, current=target.id)
            self.look()

    # ------------------------------------------------------------ house-keeping

    @rule(
        named=st.lists(tokens, max_size=2),
        keep=st.sampled_from([None, 1, 2, 3]),
        grace=st.sampled_from([None, 0, 3600]),
        kill=short,
    )
    def prune(self, named: list[Token], keep: int | None, grace: float | None, kill: Kill | None) -> None:
        names = [self._token(token) for token in named if self.site.releases]
        words = ["prune", *names, *self.here()]
        words += ["--keep", str(keep)] if keep is not None else []
        words += ["--grace", str(grace)] if grace is not None else []
        self.change(words, lambda site, made: model_changes.prune(site, names, keep, grace), kill, sweeps=True)

    @rule(tree=st.sampled_from([*TREES, *TREES, None]), sure=seldom, kill=long)
    def unadopt(self, tree: str | None, sure: bool, kill: Kill | None) -> None:
        if not sure:
            return
        words = ["unadopt", *self.here(), *(["--tree", tree] if tree else [])]
        self.change(words, lambda site, made: model_changes.unadopt(site, tree), kill, sweeps=True)

    @precondition(lambda self: self.interrupted)
    @rule(kill=short)
    def recover(self, kill: Kill | None) -> None:
        words = ["recover", *self.here()]
        self.change(words, lambda site, made: model_changes.recover(site), kill, sweeps=True, says=False)

    @precondition(lambda self: self.site.exists)
    @rule(sure=seldom)
    def lock(self, sure: bool) -> None:
        if not sure:
            return
        assert self.run(["lock", "-m", "why", *self.here()]).code == 0
        self.site = replace(self.site, hold=True)
        self.look()

    @precondition(lambda self: self.site.hold)
    @rule()
    def unlock(self) -> None:
        assert self.run(["unlock", *self.here()]).code == 0
        self.site = replace(self.site, hold=False)
        self.look()

    @precondition(lambda self: self.site.releases and not self.interrupted)
    @rule(number=st.integers(0, 9))
    def lease(self, number: int) -> None:
        id = self._id(number)
        self.say(f"# a lease on {id}")
        self.leases.append(self.world.lease(id))
        self.site = replace(self.site, leased=(*self.site.leased, id))
        self.look()

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0, 9))
    def end_of_a_lease(self, number: int) -> None:
        held = self.leases.pop(number % len(self.leases))
        held.close()
        self.site = replace(self.site, leased=tuple(held.release.id for held in self.leases))
        self.look()

    # ------------------------------------------------------------ what others do

    @rule(tree=one_tree, path=st.sampled_from(["note", "sub/note", "uploads/x"]), data=data)
    def stray(self, tree: str, path: str, data: bytes) -> None:
        """Somebody puts a file into what is served."""
        version = self.site.now.versions.get(tree) if self.site.now else None
        if version is None or tree not in self.site.links or path in version.files or self.midway:
            return
        if path.startswith("uploads/") and "uploads" in version.files:
            return
        self.edits += 1
        data = b"%b %d" % (data, self.edits)
        self.say(f"# somebody writes {tree}/{path}")
        self.world.write(self.world.public(tree), {path: data})
        more = {**self.site.strays_in(version), path: data}
        self.site = replace(self.site, strays={**self.site.strays, (tree, version.id): more})
        self.look()

    @rule(tree=one_tree)
    def no_stray(self, tree: str) -> None:
        """Somebody takes a file out again."""
        version = self.site.now.versions.get(tree) if self.site.now else None
        if version is None or tree not in self.site.links or "note" not in self.site.strays_in(version):
            return
        self.say(f"rm {tree}/note")
        (self.world.public(tree) / "note").unlink()
        left = {path: data for path, data in self.site.strays_in(version).items() if path != "note"}
        self.site = replace(self.site, strays={**self.site.strays, (tree, version.id): left})
        self.look()

    @precondition(lambda self: self.site.uploads and not self.midway)
    @rule(data=data)
    def upload(self, data: bytes) -> None:
        """A visitor's file comes into the shared directory."""
        for tree, files in self.site.uploads.items():
            self.say(f"# an upload to {tree}")
            (self.world.site.root / "shared" / tree / "uploads" / "y").write_bytes(data + b" 0")
            self.site = replace(self.site, uploads={**self.site.uploads, tree: {**files, "y": data + b" 0"}})
        self.look()

    @precondition(lambda self: not self.interrupted)
    @rule(tree=one_tree, uploads=seldom)
    def plain(self, tree: str, uploads: bool) -> None:
        """Where nothing is, somebody makes a directory."""
        if not os.path.lexists(self.world.public(tree)):
            self.edits += 1
            self._make_plain(tree, {"f": b"plain", **({"uploads/x": b"plain %d" % self.edits} if uploads else {})})
            self.look()

    @precondition(lambda self: not self.interrupted)
    @rule(tree=one_tree)
    def clear(self, tree: str) -> None:
        """Somebody removes a plain directory that is not the site's."""
        if tree in self.site.live:
            self.say(f"rm -r srv/{tree}")
            self.world.remove(tree)
            self.site = replace(self.site, live={t: files for t, files in self.site.live.items() if t != tree})
            self.look()

    def _make_plain(self, tree: str, files: Files) -> None:
        self.say(f"# somebody makes srv/{tree} with {', '.join(files)}")
        self.world.write(self.world.public(tree), files)
        self.site = replace(self.site, live={**self.site.live, tree: files})

    # ------------------------------------------------------------ ids

    def _id(self, number: int) -> str:
        ids = sorted(self.site.releases, reverse=True)
        return ids[number % len(ids)]

    def _token(self, token: Token) -> str:
        kind, number = token
        id = self._id(number)
        named = {"id": id, "prefix": id[: 13 - number % 3], "label": f"v{number % 2 + 1}"}
        return named.get(kind, kind)


# ---------------------------------------------------------------- running it


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m crash.model_machine", description=__doc__)
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--as-found", action="store_true", help="show a failing sequence without making it shorter")
    asked = parser.parse_args(words)
    if os.geteuid() == 0 and _APART not in os.environ:
        os.environ[_APART] = "yes"
        os.execvp("unshare", ["unshare", *_APART_FROM, sys.executable, "-m", "crash.model_machine", *words])
    import_everything()
    began = time.monotonic()
    seed(zlib.crc32(effort.seed().encode()))(Sites)
    run_state_machine_as_test(
        Sites,
        settings=settings(
            max_examples=asked.examples,
            stateful_step_count=asked.steps,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate,) if asked.as_found else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    killed = figures.pop("killed", 0)
    each = ", ".join(f"{name} {count}" for name, count in sorted(figures.items()))
    took = round(time.monotonic() - began, 1)
    print(f"{asked.examples} cases, {figures.total()} commands ({each}), {killed} of them killed, {took} s")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:])
