"""Where a recorded block device shows soonest that a sync was left out: that the states of real filesystems can tell.

Each of the program's syncs is missed on the weakest filesystem (`replay_weak_run omit`). Real ones write names out in
order, so that a later sync often carries what an earlier one was for; these are the ones that they show as well.
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
    "durable.append < journal.append < journal.intend": Seen("btrfs", "adopt-shared"),
    "durable.append < journal.append < journal.outcome": Seen("ext4", "copy-later"),
    "durable.sync < staging.seal < deploying.seal": Seen("ext4", "copy-later"),
    "durable.sync < unadopting._copied < unadopting.unadopt": Seen("btrfs", "unadopt"),
    "durable.replace_file_whole < durable.replace_file < records.write < staging.seal": Seen("ext4", "copy-later"),
    "durable.fsync_directory < switch.put_public_links < swinging.swing": Seen("btrfs", "copy-first"),
    "durable.fsync_directory < durable.swing_link < switch.point < swinging.swing": Seen("btrfs", "copy-later"),
    "durable.fsync_directory < adopt.carry_out < adopting._carry_out": Seen("ext4+xfs", "adopt"),
    "durable.fsync_directory < adopt.take_out < adopt.carry_out": Seen("ext4+xfs", "adopt-shared"),
    "durable.fsync_directory < adopt.give_back < unadopting._give_back": Seen("btrfs", "unadopt"),
    "durable.fsync_directory < durable.remove_durably < records.remove < pruning.prune": Seen("btrfs", "prune"),
}
