"""The Python interface: open a library, add files, search."""

from trawl.ingest.on_ray import RayCluster
from trawl.library.contents import DocumentContents, DocumentPage
from trawl.library.library import Library
from trawl.library.mapping import LibraryMap
from trawl.library.originals import Original
from trawl.library.views import MAX_PEAKS, MAX_WIDTH_PX, MIN_WIDTH_PX, View
from trawl.readers.views import Peaks

__all__ = [
    "MAX_PEAKS",
    "MAX_WIDTH_PX",
    "MIN_WIDTH_PX",
    "DocumentContents",
    "DocumentPage",
    "Library",
    "LibraryMap",
    "Original",
    "Peaks",
    "RayCluster",
    "View",
]
