"""The only room that touches the disk for good: every fsync, syncfs, rename, exchange, link, symlink and clone.

What a function here promises is true on the disk, not only in the page cache, when it returns, if its docstring says
"durable". Everything else becomes durable by a `Barrier`.
"""

from .directories import is_plain_directory, make_directories, make_directories_durably, make_directory, set_mode
from .files import (
    append,
    append_loosely,
    cut,
    cut_durably,
    is_temporary,
    remove_durably,
    remove_file,
    replace_file,
    replace_file_loosely,
    replace_file_whole,
    temporary_name,
    write_all,
)
from .names import (
    can_exchange,
    exchange,
    leads_through,
    link,
    put_link,
    refusal_to_move,
    rename_over,
    rename_to_free,
    swing_link,
    symlink,
)
from .syncing import Barrier, fsync_directory
from .system import clone, die_with_parent

__all__ = [
    "Barrier",
    "append",
    "append_loosely",
    "can_exchange",
    "clone",
    "cut",
    "cut_durably",
    "die_with_parent",
    "exchange",
    "fsync_directory",
    "is_plain_directory",
    "is_temporary",
    "leads_through",
    "link",
    "make_directories",
    "make_directories_durably",
    "make_directory",
    "put_link",
    "refusal_to_move",
    "remove_durably",
    "remove_file",
    "rename_over",
    "rename_to_free",
    "replace_file",
    "replace_file_loosely",
    "replace_file_whole",
    "set_mode",
    "swing_link",
    "symlink",
    "temporary_name",
    "write_all",
]
