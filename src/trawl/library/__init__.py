"""The Python interface. This is the only place where the parts are wired together."""

from trawl.library.library import Library, Shown
from trawl.library.listing import DocumentPage
from trawl.library.originals import Original

__all__ = ["DocumentPage", "Library", "Original", "Shown"]
