"""Where a function of `durable` is called by its name: other rooms find it in the room, its own modules in themselves.

What is to be called instead is put into each, or some would go on calling the function itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from treeswap import durable


def callers(name: str) -> list[ModuleType]:
    """The modules to put something else into under this name."""
    function = getattr(durable, name)
    parts = [import_module(f"{durable.__name__}.{part.name}") for part in iter_modules(durable.__path__)]
    return [module for module in (durable, *parts) if getattr(module, name, None) is function]
