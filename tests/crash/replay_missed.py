"""Every place in the program that asks for a sync, and what came of leaving it out.

A place is the functions that lead to the sync, innermost first: those of `durable`, and two more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """Where its omission is seen soonest: on these filesystems, in this story, hurried so much."""

    kinds: str
    story: str
    hurry: int = 0


MISSED = {
    "durable.append < journal.append < journal.reserve": Seen("btrfs", "copy-later"),
    "durable.append < journal.append < journal.intend": Seen("btrfs", "adopt-shared"),
    "durable.append < journal.append < journal.outcome": Seen("ext4", "copy-later"),
    "durable.sync < deploying.seal < site.deploy": Seen("ext4", "copy-later"),
    "durable.sync < unadopting._copied < unadopting.unadopt": Seen("btrfs", "unadopt"),
    "durable.replace_file < records.write_manifest < deploying.seal": Seen("ext4", "copy-later"),
    "durable.replace_file < records.write_manifest < adopting.adopt": Seen("btrfs", "adopt-shared"),
    "durable.replace_file < records.write < deploying.seal": Seen("ext4", "copy-later"),
    "durable.replace_file < records.write < adopting._carry_out": Seen("btrfs", "adopt-shared"),
    "durable.replace_file < records.write_site < core.write_site": Seen("btrfs", "copy-first"),
    "durable.replace_file < records.write_site < recovery.forget_trees": Seen("btrfs", "unadopt"),
    "durable.replace_file < homes.prepare < deploying._begin": Seen("ext4+xfs", "copy-first"),
    "durable.fsync_directory < core.make < deploying._enter_locked": Seen("btrfs", "copy-first"),
    "durable.fsync_directory < switch.make_release < adopting.adopt": Seen("btrfs", "adopt-shared"),
    "durable.fsync_directory < switch.put_public_links < swinging.swing": Seen("btrfs", "copy-first"),
    "durable.fsync_directory < durable.swing_link < switch.point < swinging.swing": Seen("btrfs", "copy-later"),
    "durable.fsync_directory < adopt.carry_out < adopting._carry_out": Seen("ext4+xfs", "adopt"),
    "durable.fsync_directory < adopt.take_out < adopt.carry_out": Seen("ext4+xfs", "adopt-shared"),
    "durable.fsync_directory < adopt.give_back < unadopting._give_back": Seen("btrfs", "unadopt"),
    "durable.fsync_directory < durable.remove_durably < records.remove < pruning.prune": Seen("btrfs", "prune"),
}

_CARRIED = "the next sync of the same filesystem carries it, since these three write names in order; none promises that"
_COVERED = "the syncfs of the same filesystem covers it, which is a matter of the order of two lines"
_SPARE = "what it makes durable may be lost: nothing is decided by it"

NEEDLESS = {
    "durable.fsync_directory < journal.append < journal.reserve": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write_site < core.write_site": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write_site < recovery.forget_trees": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write_manifest < deploying.seal": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write_manifest < adopting.adopt": _CARRIED,
    "durable.fsync_directory < records.write_manifest < deploying.seal": _CARRIED,
    "durable.fsync_directory < records.write_manifest < adopting.adopt": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write < deploying.seal": _CARRIED,
    "durable.fsync_directory < durable.replace_file < records.write < adopting._carry_out": _CARRIED,
    "durable.fsync_directory < durable.swing_link < switch.point < adopting._carry_out": _CARRIED,
    "durable.fsync_directory < adopt.put_slot < adopting._carry_out": _CARRIED,
    "durable.fsync_directory < durable.make_directories < adopt.take_out < adopt.carry_out": _CARRIED,
    "durable.fsync_directory < recovery.end_adoption < adopting._carry_out": _CARRIED,
    "durable.fsync_directory < durable.make_directories < homes.prepare < deploying._begin": _COVERED,
    "durable.fsync_directory < durable.replace_file < homes.prepare < deploying._begin": _COVERED,
    "durable.fsync_directory < homes.prepare < deploying._begin": _COVERED,
    "durable.fsync_directory < switch.make_release < deploying.seal": _COVERED,
    "durable.fsync_directory < unadopting._copied < unadopting.unadopt": _COVERED,
    "durable.replace_file < cache.save < homes.save_cache": _SPARE,
    "durable.fsync_directory < durable.replace_file < cache.save < homes.save_cache": _SPARE,
    "durable.replace_file < adopting._carry_out < adopting.adopt": _SPARE,
    "durable.fsync_directory < durable.replace_file < adopting._carry_out < adopting.adopt": _SPARE,
    "durable.fsync_directory < durable.remove_durably < recovery.end_adoption < adopting._carry_out": _SPARE,
    "durable.append < journal.append < pruning.prune": _SPARE,
}
"""Without these no state was bad on any of the filesystems; the words say why, and that is why they stay."""
