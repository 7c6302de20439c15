"""The Python interface: open a library, add files, search."""

from trawl.library.contents import DocumentContents, DocumentPage, Original
from trawl.library.library import Library

__all__ = ["DocumentContents", "DocumentPage", "Library", "Original"]
