"""Which file of a site to damage, and how."""

from __future__ import annotations

from pathlib import Path

from bench import Bench


def flip(path: Path, at: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def file_of(bench: Bench, kind: str) -> Path:
    private = bench.site_root / ".treeswap"
    return {
        "record": private / f"records/{bench.ids[0]}.json",
        "current's record": private / f"records/{bench.current}.json",
        "site.json": private / "site.json",
        "journal": private / "journal.jsonl",
        "manifest": private / f"manifests/apps/{bench.current}",
    }[kind]
