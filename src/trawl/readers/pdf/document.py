"""Open a PDF with pdfium."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from trawl.errors import ReadError
from trawl.readers.formats import opened

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_REASONS = {
    2: "the file cannot be opened",
    4: "encrypted; save a copy without a password",
    5: "encrypted in a way that is not supported; save a copy without a password",
}
"""Reasons by pdfium's error code. All others mean a damaged file."""


def open_document(path: Path) -> PdfDocument:
    """Open a document of at least one page.

    The caller holds `LOCK` and closes it. Raises `ReadError` with the reason.
    """
    import pypdfium2
    from pypdfium2 import raw

    with opened(path) as stream:
        if not stream.read(1):
            raise ReadError("empty file")
    # `PdfDocument` would take a name that begins with ~ for a home folder, and report the error
    # of the file before for a document without pages.
    handle = raw.FPDF_LoadDocument(os.fsencode(path) + b"\0", None)
    if not handle:
        reason = _REASONS.get(raw.FPDF_GetLastError())
        raise ReadError(reason or "damaged: not a PDF document that can be opened")
    document = pypdfium2.PdfDocument(handle)
    if not len(document):
        document.close()
        raise ReadError("contains no pages")
    return document


def info_of(document: PdfDocument) -> dict[str, str]:
    """Return the entries of the info dictionary that are not empty."""
    try:
        return dict(document.get_metadata_dict(skip_empty=True))
    except UnicodeDecodeError:
        return {}
