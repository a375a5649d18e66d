"""A small site of three releases that can be damaged, again and again, and what must hold whatever was damaged.

Beside it lies what is none of its business: `outside`, in which nothing may change, and no secret may come from.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from treeswap.envelope import unseal
from treeswap.errors import Damaged

from .oracle import Answer, Broken, Shown, Site, seen, shown, whole_release
from .program import Program
from .scenes import write

TREES = ("apps", "conf", "media")
SECRET = b"what nobody may publish"
PATIENCE = 60
"""Seconds after which a command counts as hanging."""
ALLOWED = frozenset({0, 2, 10, 11, 12, 15, 16, 17})


def content(tree: str, version: str) -> dict[str, bytes]:
    """`conf` has one version for the first two, so that a release keeps an older version."""
    text = b"1" if tree == "conf" and version == "2" else version.encode()
    return {"f": text, "sub/g": text, "sub/constant": b"c"}


class World:
    """`owner` owns all of it and gives the commands: root, or somebody without rights."""

    def __init__(self, room: Path, owner: str) -> None:
        self.owner = owner if os.geteuid() == 0 else None
        self.room, self.root = room, room / "world"
        self.root.mkdir(parents=True)
        self.root.chmod(0o755)
        public = {tree: self.root / "srv" / tree for tree in TREES}
        self.site = Site(self.root / "site", public, {"media": self.root / "vault/media"})
        self.outside = self.root / "outside"
        write(self.outside, {"secret": SECRET, "below/secret": SECRET})
        for directory in ("srv", "vault", "scratch"):
            (self.root / directory).mkdir()
        self.program = Program(self.root, self.root / "scratch")
        for version in "1234":
            self._sources(version)
        if self.owner is not None:
            subprocess.run(["chown", "-R", f"{self.owner}:", str(self.root)], check=True)
        self.all: dict[str, Shown] = {}
        for version in "123":
            assert self.run(*self.deploy(version)).code == 0
            self.all[version] = shown(self.site)
        self.all["4"] = {tree: content(tree, "4") for tree in TREES}
        self.ids = sorted(self.site.records())
        records = self.site.private / "records"
        self.records = {id: (records / f"{id}.json").read_bytes() for id in self.ids}
        subprocess.run(["cp", "-a", str(self.root), str(room / "saved")], check=True)

    def _sources(self, version: str) -> None:
        lines = ['name = "fuzzed"', f'deploy_to = "{self.site.root}"', 'grace = "0s"']
        for tree in TREES:
            source = self.root / "src" / version / tree
            write(source, content(tree, version))
            lines += [f"[trees.{tree}]", f'source = "{source}"', f'path = "{self.site.public[tree]}"']
            lines += [f'trees_dir = "{self.site.trees_dirs[tree]}"'] if tree in self.site.trees_dirs else []
        (self.root / f"{version}.toml").write_text("\n".join(lines) + "\n")

    def deploy(self, version: str) -> tuple[str, ...]:
        return ("deploy", "--site", str(self.root / f"{version}.toml"))

    def restore(self) -> None:
        subprocess.run(["rm", "-rf", str(self.root)], check=True)
        subprocess.run(["cp", "-a", str(self.room / "saved"), str(self.root)], check=True)

    def put(self, path: Path, data: bytes) -> None:
        """Writes a file, which its owner keeps."""
        owner = path.parent.stat()
        path.write_bytes(data)
        os.chown(path, owner.st_uid, owner.st_gid)

    # ------------------------------------------------------------ commands and what must hold after each

    def run(self, *words: str, user: str | None = None) -> Answer:
        """A command of the owner's (or of `user`), ended if it hangs."""
        answer = self.program.run(*words, user=user or self.owner, patch=_alarm)
        if answer.code == -signal.SIGALRM:
            raise Broken("no command hangs", str(answer))
        own = (125,) if words[0] == "exec" else ()
        if answer.code not in (*ALLOWED, *own) or "Traceback" in answer.err or "bug in" in answer.err:
            raise Broken("a clear error or the right answer", str(answer))
        if answer.code and "error:" not in answer.err:
            raise Broken("a failure says what it is", str(answer))
        return answer

    def surroundings(self) -> dict[str, tuple[object, ...]]:
        """All that is neither the site's nor a public path: inode, mode, owner, times, link count, size."""
        found: dict[str, tuple[object, ...]] = {}
        own = {self.site.root, *self.site.public.values(), *self.site.trees_dirs.values(), self.root / "scratch"}
        for here, directories, files in os.walk(self.root):
            directories[:] = [name for name in directories if Path(here, name) not in own]
            for path in (Path(here, name) for name in (*directories, *files)):
                if path.name not in ("srv", "vault") and path not in own:
                    s = path.lstat()
                    found[str(path)] = (
                        s.st_ino,
                        s.st_mode,
                        s.st_uid,
                        s.st_mtime_ns,
                        s.st_ctime_ns,
                        s.st_nlink,
                        s.st_size,
                    )
        return found

    def holds(self) -> str:
        """The version that the public paths show, all of them together; what the records name that are there still is
        there, and so is what a damaged one may name."""
        version = whole_release(self.site, self.all)
        for id, data in self.records.items():
            file = self.site.private / "records" / f"{id}.json"
            if not os.path.lexists(file) or (file.is_file() and self._says_otherwise(file.read_bytes(), data)):
                continue
            record = json.loads(data)
            for named in record["versions"]:
                slot = self.site.version(record, named["tree"])
                if seen(slot) not in [content(named["tree"], text) for text in "1234"]:
                    raise Broken(4, f"the record of {id} is there, and {slot} is not whole")
        return version

    @staticmethod
    def _says_otherwise(now: bytes, before: bytes) -> bool:
        """Whether a record is another one, with a checksum that fits: it may name other versions."""
        try:
            unseal(now, "the record")
        except Damaged:
            return False
        return now != before

    def keeps_its_secrets(self) -> None:
        for place in (self.site.root, *self.site.trees_dirs.values()):
            found = subprocess.run(["grep", "-rlF", "-e", SECRET.decode(), str(place)], capture_output=True, text=True)
            if found.stdout:
                raise Broken("nothing outside the sources is read", found.stdout)


def _alarm() -> None:
    signal.alarm(PATIENCE)
