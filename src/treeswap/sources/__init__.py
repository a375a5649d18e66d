"""Where a tree's new content comes from."""

from .directory import Directory

__all__ = ["Directory"]
