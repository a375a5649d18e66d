"""What a directory contains, read by descriptors: the walk, the reading of files, and what is made of both."""

from .descent import Descent, Listing, open_root, walk
from .examine import Fault, examine
from .reading import Content, NotReadable
from .source import Excluded, Source
from .survey import names_only, survey

__all__ = [
    "Content",
    "Descent",
    "Excluded",
    "Fault",
    "Listing",
    "NotReadable",
    "Source",
    "examine",
    "names_only",
    "open_root",
    "survey",
    "walk",
]
