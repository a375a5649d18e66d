"""Where a tree's new content comes from."""

from .directory import Directory
from .nothing import Nothing

__all__ = ["Directory", "Nothing"]
