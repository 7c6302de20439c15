"""Read PDF documents: text in the order of reading, figures and tables."""

from __future__ import annotations

from trawl.readers.formats import Format
from trawl.readers.pdf.reader import MEDIA_TYPE, read_pdf

__all__ = ["FORMATS", "MEDIA_TYPE", "starts_pdf"]

FORMATS = (
    Format(
        media_type=MEDIA_TYPE,
        modality="text",
        name="a PDF document",
        suffixes=frozenset({".pdf"}),
        read=read_pdf,
        matches=lambda head: b"%PDF-" in head[:1024],
    ),
)


def starts_pdf(head: bytes) -> bool:
    """Return whether a file begins like a PDF. All of its first bytes may be text."""
    return head.lstrip(b"\xef\xbb\xbf\t\r\n ").startswith(b"%PDF-")
