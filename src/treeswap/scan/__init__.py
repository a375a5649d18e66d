"""What a directory contains, read by descriptors: the walk, the reading of files, and what is made of both."""

from .descent import Descent, Listing, open_below, open_root, walk
from .examine import Fault, examine
from .halves import every_other, half, half_of
from .names import only_here
from .reading import Content, NotReadable
from .source import Excluded, Source
from .still import as_sealed
from .survey import survey

__all__ = [
    "Content",
    "Descent",
    "Excluded",
    "Fault",
    "Listing",
    "NotReadable",
    "Source",
    "as_sealed",
    "every_other",
    "examine",
    "half",
    "half_of",
    "only_here",
    "open_below",
    "open_root",
    "survey",
    "walk",
]
