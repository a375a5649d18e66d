"""Whole commands on a site one of whose files is damaged.

    cd tests && PYTHONPATH=.:../src python -m crash.fuzz_commands [--role ROLE] [--json] CASE …

A case is FILE:NUMBER:COMMAND. The number chooses the damage; then all commands that only look are given, and at last
the one that changes the site.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import treeswap
from treeswap.envelope import seal

from .effort import sample, seed
from .fuzz import Random, spoilt_bytes, spoilt_line, spoilt_manifest
from .fuzz_world import World
from .oracle import Answer, Broken
from .program import import_everything

LOOKING = ("status", "releases", "log", "diff", "check", "exec", "verify")
CHANGING = ("deploy", "rollback", "copy", "switch", "prune", "recover", "unadopt", "stage", "lock")
ROLES = ("root", "nobody", "reader")
"""Who gives the commands: root on its own site, somebody without rights on theirs, and they on root's site."""


def words(world: World, command: str) -> tuple[str, ...]:
    at = ("--site", str(world.site.root))
    pairs = [f"{world.root}/src/4/{tree}:{path}" for tree, path in world.site.public.items()]
    special: dict[str, tuple[str, ...]] = {
        "deploy": world.deploy("4"),
        "copy": ("copy", *pairs, *at),
        "stage": ("stage", "--site", str(world.root / "4.toml")),
        "switch": ("switch", world.ids[0], *at),
        "prune": ("prune", "--keep", "1", "--grace", "0", *at),
        "lock": ("lock", "-m", "fuzz", *at),
        "exec": ("exec", *at, "--", "true"),
    }
    return special.get(command, (command, *at))


# ---------------------------------------------------------------- what is damaged


def _json_file(path: str) -> Callable[[World, Random], None]:
    def damage(world: World, rng: Random) -> None:
        file = world.site.private / _named(world, path)
        data = file.read_bytes()
        world.put(file, spoilt_line(rng, data) if rng.random() < 0.6 else spoilt_bytes(rng, data))

    return damage


def _named(world: World, path: str) -> str:
    for number, id in enumerate(world.ids, 1):
        path = path.replace(f"ID{number}", id)
    return path


def _journal(world: World, rng: Random) -> None:
    file = world.site.private / "journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    number = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[number] = spoilt_bytes(rng, lines[number])
        case 1:
            lines.insert(number, spoilt_line(rng, lines[number]))
        case 2:
            lines.append(spoilt_line(rng, seal(_open_intent(world, rng))))
        case _:
            lines[number] = spoilt_line(rng, lines[number])
    world.put(file, b"".join(lines))


def _open_intent(world: World, rng: Random) -> dict[str, object]:
    outside, apps = str(world.outside), str(world.site.public["apps"])
    slot = str(world.site.root / "trees/apps" / world.ids[0])
    move: dict[str, object] = {
        "tree": "apps",
        "public": rng.choice([apps, outside]),
        "slot": rng.choice([slot, outside]),
    }
    move |= {"text": f"{world.site.root}/current/apps", "shared_root": f"{world.site.root}/shared/apps", "shared": []}
    copy = rng.choice([outside, f"{world.site.root}/trees/apps/.unadopt.0123456789abcdef.tswap"])
    details = {
        "switch": {"bad": [world.ids[1]], "good": [world.ids[0]]},
        "adopt": {"moves": [move | {"gap": rng.random() < 0.5}]},
        "unadopt": {"copies": {"apps": [rng.choice([apps, outside]), copy]}, "modes": {"apps": 0o755}},
    }
    what = rng.choice(list(details))
    line = {"at": "2026-01-01T00:00:00Z", "event": "intent", "by": "x", "why": what, "what": what}
    return {**line, "from": world.ids[2], "to": rng.choice([None, *world.ids]), "details": details[what]}


def _manifest(world: World, rng: Random) -> None:
    """Of any release and tree. Some with a checksum, and a record, that fit."""
    record = world.site.private / "records" / f"{world.ids[2]}.json"
    value = json.loads(record.read_bytes())
    del value["crc"]
    named = rng.choice(value["versions"])
    file = world.site.private / "manifests" / named["tree"] / named["id"]
    if rng.random() < 0.3:
        world.put(file, spoilt_bytes(rng, file.read_bytes()))
        return
    data = spoilt_manifest(rng, file.read_bytes())
    world.put(file, data)
    if rng.random() < 0.8:
        named["manifest"] = hashlib.sha256(data).hexdigest()
        world.put(record, seal(value))


def _plain(path: str) -> Callable[[World, Random], None]:
    def damage(world: World, rng: Random) -> None:
        file = world.root / _named(world, path)
        world.put(file, spoilt_bytes(rng, file.read_bytes() if file.exists() else b"x"))

    return damage


def _hold(world: World, rng: Random) -> None:
    line = seal({"why": "w", "by": "b", "since": "2026-01-01T00:00:00Z"})
    world.put(
        world.site.private / "hold.json", spoilt_line(rng, line) if rng.random() < 0.5 else spoilt_bytes(rng, line)
    )


def _current(world: World, rng: Random) -> None:
    link = world.site.root / "current"
    link.unlink()
    texts = ["releases", "releases/", "releases/1", "../outside", str(world.outside), "current", "x" * 3000, ".", "/"]
    link.symlink_to(rng.choice([*texts, f"releases/{world.ids[0]}", "releases/20200101000000"]))


def _another_kind(world: World, rng: Random) -> None:
    """A file of the site's own is something else: a directory, a link to nowhere or to the outside, a FIFO."""
    files = ["site.json", "journal.jsonl", "records/ID1.json", "records/ID3.json", "manifests/apps/ID3", "cache/apps"]
    files += ["leases/ID1", "leases/ID3", "deploy.lock", "switch.lock", "hold.json", "moving", "records", "leases"]
    file = world.site.private / _named(world, rng.choice(files))
    if file.is_dir():
        shutil.rmtree(file)
    with suppress(FileNotFoundError):
        file.unlink()
    match rng.randrange(4):
        case 0:
            file.mkdir()
        case 1:
            file.symlink_to("nowhere")
        case 2:
            file.symlink_to(world.outside / "secret")
        case _:
            os.mkfifo(file)
    owner = file.parent.stat()
    os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)


DAMAGES: dict[str, Callable[[World, Random], None]] = {
    "site": _json_file("site.json"),
    "old": _json_file("records/ID1.json"),
    "target": _json_file("records/ID2.json"),
    "current": _json_file("records/ID3.json"),
    "journal": _journal,
    "manifest": _manifest,
    "cache": _plain("site/.treeswap/cache/apps"),
    "config": _plain("4.toml"),
    "hold": _hold,
    "marker": _plain("vault/media/.treeswap-site"),
    "lock": _plain("site/.treeswap/switch.lock"),
    "moving": _plain("site/.treeswap/moving"),
    "link": _current,
    "kind": _another_kind,
}
SLOW = {("exec", "moving")}
"""What waits for ten seconds, and rightly."""
SHOWS = {"deploy": "4", "copy": "4", "switch": "1", "rollback": "2"}
CONFUSED = ("link", "journal", "target", "old", "current", "manifest")
"""Damage by which what a rollback goes to may be another whole release: what it says is all that there is to go by."""


def cases(rounds: int) -> list[str]:
    return [f"{file}:{number}:{command}" for number in range(rounds) for command in CHANGING for file in DAMAGES]


def run_case(world: World, case: str, *, reader: bool = False) -> int:
    """Gives how many commands were run."""
    file, number, command = case.split(":")
    world.restore()
    DAMAGES[file](world, random.Random(f"{seed()} {file} {number}"))
    before = world.surroundings()
    current = os.readlink(world.site.root / "current")
    commands = [name for name in LOOKING if (name, file) not in SLOW] + [command] * (not reader)
    for name in commands:
        answer = world.run(*words(world, name), user="nobody" if reader else None)
        if world.surroundings() != before:
            raise Broken("nothing outside SITE is changed", str(answer))
        if file != "link":
            _judge(world, name, file, answer)
        elif answer.code and os.readlink(world.site.root / "current") != current:
            raise Broken(8, f"current was moved without success: {answer}")
    world.keeps_its_secrets()
    return len(commands)


def _judge(world: World, command: str, file: str, answer: Answer) -> None:
    try:
        shows = world.holds()
    except Broken as broken:
        raise Broken(str(broken), str(answer)) from None
    wanted = SHOWS.get(command, "3") if answer.code in (0, 17) else "3"
    if shows != wanted and not (command == "rollback" and file in CONFUSED and shows in ("1", "2")):
        raise Broken(f"version {wanted} is shown", f"{shows} is, after {answer}")


def _import_what_is_imported_late() -> None:
    """Whatever the product imports in its functions: not everybody may reach this interpreter's library."""
    for file in Path(treeswap.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                with suppress(ImportError):  # an extra that is not installed
                    import_module(name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.fuzz_commands")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--role", choices=ROLES, default=ROLES[0])
    parser.add_argument("--quick", type=int, default=10)
    parser.add_argument("--full", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    import_everything()
    _import_what_is_imported_late()
    began = time.monotonic()
    chosen = asked.cases or sample(cases(50), quick=asked.quick, full=asked.full, salt=asked.role)
    failed: dict[str, str] = {}
    given = 0
    with tempfile.TemporaryDirectory(prefix="treeswap-fuzz-", dir=_room()) as room:
        Path(room).chmod(0o755)
        world = World(Path(room), "nobody" if asked.role == "nobody" else "root")
        for case in chosen:
            try:
                given += run_case(world, case, reader=asked.role == "reader")
            except Exception as broken:
                failed[case] = str(broken) if isinstance(broken, Broken) else f"{type(broken).__name__}: {broken}"
                if not asked.json:
                    print(f"{case}: {failed[case]}\n", file=sys.stderr)
    took = round(time.monotonic() - began, 1)
    print(json.dumps({"cases": len(chosen), "commands": given, "seconds": took, "failed": failed}))
    return int(bool(failed))


def _room() -> str | None:
    """Memory, where there is some that may be used."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
