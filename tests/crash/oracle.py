"""What must hold after a crash at any point, judged from outside.

Nothing of treeswap is imported here: what the public paths show is read with open(2) and readlink(2), what is on disk
is what find(1) lists, and everything else is what the commands answer.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INVARIANTS = {
    1: "`current` must not exist or must name a release whose record and versions are whole",
    2: "a sealed version must never be changed",
    3: "all of a release must be on disk before `current` names it",
    4: "a record must be gone before anything that only it names is removed",
    5: "a public path, once it leads somewhere, must never be missing, dangling, or partial",
    6: "nothing that is current, or what a rollback would go to, may be removed",
    7: "what a dead process left must be recognised and cleared by the next change",
    8: "the link is the fact, the journal is the explanation",
}

DANGLES = b"(a symlink that leads nowhere)"
Seen = Mapping[str, bytes]
"""Every file that a reader finds below a directory, by its path."""
Shown = Mapping[str, "Seen | None"]
"""What each public path shows; None where it leads nowhere."""


class Broken(AssertionError):
    """An invariant (by its number in docs/on-disk.md), or a promise in words, that does not hold."""

    def __init__(self, what: int | str, found: str) -> None:
        told = f"invariant {what} ({INVARIANTS[what]})" if isinstance(what, int) else what
        super().__init__(f"{told}: {found}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.out)
        except ValueError:
            raise Broken("a command with --json answers with one object", str(self)) from None
        assert isinstance(value, dict)
        return value

    def __str__(self) -> str:
        return f"`{' '.join(self.words)}` gave exit code {self.code}\n{self.out}{self.err}".rstrip()


Run = Callable[..., Answer]
"""`run(*words)` runs the program as who owns the site, `run(*words, user="nobody")` as somebody else."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a site and its trees are. A tree without a public path is left out of `public`."""

    root: Path
    public: Mapping[str, Path]
    trees_dirs: Mapping[str, Path] = field(default_factory=dict)

    @property
    def private(self) -> Path:
        return self.root / ".treeswap"

    @property
    def exists(self) -> bool:
        return (self.private / "site.json").exists()

    @property
    def current(self) -> str | None:
        try:
            return os.readlink(self.root / "current").removeprefix("releases/")
        except FileNotFoundError:
            return None

    def records(self) -> dict[str, dict[str, Any]]:
        found = {}
        for name in _names(self.private / "records"):
            if name.endswith(".json"):
                text = (self.private / "records" / name).read_bytes()
                try:
                    found[name[:-5]] = json.loads(text)
                except ValueError:
                    raise Broken(3, f"the record {name} holds {text!r}") from None
        return found

    def version(self, record: Mapping[str, Any], tree: str) -> Path:
        """The directory of the version of a tree that a record names."""
        named = next(version for version in record["versions"] if version["tree"] == tree)
        room = Path(named["trees_dir"]) if named["trees_dir"] else self.root / "trees" / tree
        return room / str(named["id"])


# ---------------------------------------------------------------- what readers see


def seen(path: Path) -> Seen | None:
    """What a reader finds through a path, symlinks followed."""
    if not path.is_dir():
        return None
    found: dict[str, bytes] = {}
    for here, _, files in os.walk(path, followlinks=True):
        for name in files:
            file = Path(here, name)
            found[os.path.relpath(file, path)] = file.read_bytes() if file.exists() else DANGLES
    return found


def shown(site: Site) -> dict[str, Seen | None]:
    return {name: seen(path) for name, path in site.public.items()}


def whole_release(site: Site, allowed: Mapping[str, Shown]) -> str:
    """The name of the one of `allowed` that the public paths show, all of them together. `Broken` if none."""
    now = shown(site)
    for name, wanted in allowed.items():
        if now == wanted:
            return name
    parts = []
    for tree, content in now.items():
        which = [name for name, wanted in allowed.items() if wanted.get(tree) == content]
        parts.append(f"{tree} shows {' or '.join(which) if which else _differs(content, allowed, tree)}")
    raise Broken(5 if any(content is None for content in now.values()) else 1, "; ".join(parts))


def _differs(content: Seen | None, allowed: Mapping[str, Shown], tree: str) -> str:
    if content is None:
        return "nothing"
    told = {name: _difference(content, wanted.get(tree) or {}) for name, wanted in allowed.items()}
    return f"what is in no release: {told}"


def _difference(found: Seen, wanted: Seen) -> list[str]:
    return sorted(path for path in {*found, *wanted} if found.get(path) != wanted.get(path))


# ---------------------------------------------------------------- what is on disk

Sealed = Mapping[str, Mapping[str, tuple[object, ...]]]
"""Of each sealed version, what is known of its inodes, by their paths."""


def whole_records(site: Site, known: Mapping[str, Iterable[Seen | None]]) -> None:
    """Invariants 1, 3 and 4 from the disk: each record's links and versions are there, with content that is `known`
    for their tree; `current` names one."""
    records = site.records()
    moving = (site.private / "moving").exists()
    for id, record in records.items():
        for version in record["versions"]:
            tree = version["tree"]
            link = site.root / "releases" / id / tree
            slot = site.version(record, tree)
            if moving and (slot.is_symlink() or not slot.exists()):
                # Until the exchange the public path counts as the version.
                slot = site.public[tree]
            elif not link.is_symlink() or link.resolve() != slot.resolve():
                raise Broken(1, f"the record of {id} is there, and {link} is not, or leads elsewhere")
            if not (site.private / "manifests" / tree / version["id"]).is_file():
                raise Broken(3, f"the record of {id} is there, and the manifest of its version of {tree} is not")
            if seen(slot) not in list(known[tree]):
                raise Broken(1, f"the record of {id} is there, and its version of {tree} at {slot} is not whole")
    current = site.current
    if current is not None and current not in records:
        raise Broken(1, f"current names {current}, which has no record")


def sealed(site: Site) -> dict[str, dict[str, tuple[object, ...]]]:
    """Everything about the inodes of each version that a record names, times of reading and linking aside. Adopted
    ones are left out: they have writers."""
    found: dict[str, dict[str, tuple[object, ...]]] = {}
    for id, record in site.records().items():
        for version in record["versions"]:
            slot = site.version(record, version["tree"])
            if not version["adopted"] and slot.is_dir():
                found[f"{version['tree']} of {id}"] = _inodes(slot)
    return found


def unchanged_versions(before: Sealed, now: Sealed) -> None:
    """Invariant 2: a version that is named now as before is what it was."""
    for name, was in before.items():
        if name in now and now[name] != was:
            changed = sorted(path for path in {*was, *now[name]} if was.get(path) != now[name].get(path))
            raise Broken(2, f"{name}: {', '.join(changed)}")


def _inodes(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for here, directories, files in os.walk(root):
        for name in (".", *directories, *files):
            path = Path(here, name)
            status = path.lstat()
            content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes().hex()
            names = os.listxattr(path, follow_symlinks=False)
            attributes = tuple((attribute, os.getxattr(path, attribute, follow_symlinks=False)) for attribute in names)
            found[os.path.relpath(path, root)] = (
                status.st_ino,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_mtime_ns,
                content,
                attributes,
            )
    return found


def leftovers(site: Site) -> list[str]:
    """Everything in SITE, in the trees_dirs and beside the public paths for which no record speaks, as find(1) lists
    it."""
    records = site.records()
    named = {(v["tree"], v["id"]): v["trees_dir"] for record in records.values() for v in record["versions"]}
    trees = {*_trees(site), *(tree for tree, _ in named)}
    allowed = {
        "current",
        *("releases", "trees", "run", "shared", "maintenance", ".treeswap/supervisor"),
        *(f".treeswap/{name}" for name in ("site.json", "deploy.lock", "switch.lock", "hold.json", "journal.jsonl")),
        *(f".treeswap/{name}" for name in ("records", "manifests", "leases", "logs", "cache")),
        ".treeswap",
    }
    if (site.root / "maintenance/page.html").exists():
        allowed |= {"maintenance/page.html", ".treeswap/maintenance.json"}
    # What the commands of a deploy that failed have printed stays.
    allowed |= {f".treeswap/logs/{name}" for name in _names(site.private / "logs") if name.endswith(".failed")}
    for id, record in records.items():
        allowed |= {f"releases/{id}", f"releases/{id}/run", f"releases/{id}/REVISION", f"run/{record['run'] or id}"}
        allowed |= {f"releases/{id}/{version['tree']}" for version in record["versions"]}
        allowed |= {f".treeswap/records/{id}.json", f".treeswap/leases/{id}", f".treeswap/logs/{id}"}
    for tree, id in named:
        allowed |= {f".treeswap/manifests/{tree}/{id}"}
        allowed |= set() if named[tree, id] else {f"trees/{tree}/{id}"}
    allowed |= {
        f"{room}/{tree}" for tree in trees for room in (".treeswap/manifests", ".treeswap/cache", "shared", "trees")
    }
    within = ("trees/*/*/*", "shared/*/*", "run/*/*", ".treeswap/logs/*/*", ".treeswap/supervisor/*")
    found = [path for path in _find(site.root, within) if path not in allowed]
    for tree, directory in site.trees_dirs.items():
        if not (directory / ".treeswap-site").exists():
            continue  # not mounted, or not the site's: nobody may judge it
        wanted = {".treeswap-site", "shared", *(id for of, id in named if of == tree)}
        found += [f"{directory}/{path}" for path in _find(directory, ("*/*",)) if path not in wanted]
    for parent in {path.parent for path in site.public.values()}:
        found += [f"{parent}/{name}" for name in _names(parent) if ".tswap" in name]
    return sorted(found)


def _trees(site: Site) -> list[str]:
    if not site.exists:
        return []
    return [tree["name"] for tree in json.loads((site.private / "site.json").read_bytes())["trees"]]


def _find(root: Path, but: Sequence[str]) -> list[str]:
    if not root.is_dir():
        return []
    within = [word for pattern in but for word in ("-o", "-path", f"./{pattern}")][1:]
    command = ["find", ".", "-mindepth", "1", "(", *within, ")", "-prune", "-o", "-printf", r"%P\0"]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


# ---------------------------------------------------------------- what the commands answer

LOOKING = ("status", "releases", "log")


def looking_works(site: Site, run: Run, *more: tuple[str, str | None]) -> None:
    """Commands that only look answer and change nothing; `status` says that something was interrupted, if anything is
    left of it. `more` are further commands, each with who gives it: None is the owner."""
    left = leftovers(site)
    before = _state_of(site)
    wanted = 0 if site.exists else 10
    for command, user in (("status", None), *more):
        answer = run(command, "--json", "--site", str(site.root), user=user)
        if answer.code != wanted:
            raise Broken(f"looking works after a crash, for {user or 'the owner'} too", str(answer))
        if (command, user) == ("status", None) and wanted == 0:
            _check_status(site, answer, left)
    if _state_of(site) != before:
        raise Broken("commands that only look change nothing", "something in SITE is not as before")


def _check_status(site: Site, answer: Answer, left: list[str]) -> None:
    told = answer.json
    if told["current"] != site.current:
        raise Broken(8, f"status says that {told['current']} is current, and the link {site.current}")
    if (told["state"] == "interrupted") != (told["interrupted"] is not None):
        raise Broken(7, f"status is at odds with itself: {told['state']}, {told['interrupted']!r}")
    if left and told["state"] != "interrupted":
        raise Broken(7, f"status says {told['state']!r}, and this is left: {', '.join(left)}")
    target = told["rollback_to"]
    if target is not None and target not in site.records():
        raise Broken(6, f"a rollback would go to {target}, which has no record")


def _state_of(site: Site) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for here, directories, files in os.walk(site.root):
        if here == str(site.private):
            # What runs may say something at any time.
            directories[:] = [name for name in directories if name not in ("supervisor", "logs")]
        for name in (*directories, *files):
            path = Path(here, name)
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_ctime_ns, status.st_nlink)
    return found


def rests(site: Site, run: Run) -> None:
    """After the next change nothing is left of the interrupted one, and every version is what was sealed."""
    if left := leftovers(site):
        raise Broken(7, f"still there after the next change: {', '.join(left)}")
    if not site.exists:
        return
    answer = run("status", "--json", "--site", str(site.root))
    if answer.code != 0 or answer.json["state"] != "rest":
        raise Broken(7, f"not at rest after the next change: {answer}")
    verified(site, run)


def verified(site: Site, run: Run) -> None:
    answer = run("verify", "--json", "--site", str(site.root))
    if answer.code != 0 or answer.json["problems"]:
        raise Broken("`verify` is clean after the next command", str(answer))
