"""Where things may be: public paths, SITE, trees_dirs and sources, in relation to each other. Looks, never writes.

Promise: a place that passed these checks can be reached by whoever could reach the public path, is written to by nobody
else, and holds no other place of the same deploy.
"""

from .access import check_place
from .filesystems import check_trees_dir, default_trees_dir, nearest
from .public import check_dests, check_parent, check_source, public_state, resolved
from .sites import check_site_is_free, default_place, site_for, site_of

__all__ = [
    "check_dests",
    "check_parent",
    "check_place",
    "check_site_is_free",
    "check_source",
    "check_trees_dir",
    "default_place",
    "default_trees_dir",
    "nearest",
    "public_state",
    "resolved",
    "site_for",
    "site_of",
]
