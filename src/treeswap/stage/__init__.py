"""One tree's new version: planned, made at its final path, or removed. Knows no locks, journal or records.

`plan` reads the source and says what would be done; `place` does it; `copy` makes an independent copy of a version, and
`remove` removes a tree. A directory that was made here is either whole or gone again when the call has ended.
"""

from .copy import copy
from .place import place
from .plan import Base, TreeWork, cache_key, plan
from .remove import remove
from .times import Times

__all__ = ["Base", "Times", "TreeWork", "cache_key", "copy", "place", "plan", "remove"]
