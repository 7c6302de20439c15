"""Read files: text, images and audio, with their metadata.

Each module exports a `FORMATS` tuple. `media_type_of` detects a file's type, `read` reads the
file, and `Sidecars` finds metadata in neighbouring files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers import (
    archives,
    books,
    coded_sounds,
    latex,
    mails,
    markdown,
    notebooks,
    open_documents,
    pdf,
    pictures,
    records,
    sheets,
    slides,
    sounds,
    source,
    text,
    vectors,
    videos,
    web,
    word,
)
from trawl.readers.containers import head_behind_tag
from trawl.readers.formats import (
    Format,
    Limits,
    PageProgress,
    Reader,
    guarded,
    ignore_progress,
    opened,
    read_head,
    short_reason,
)
from trawl.readers.markdown import PictureLink
from trawl.readers.sidecars import TABLE_NAMES, Sidecar, Sidecars
from trawl.readers.text import looks_like_text
from trawl.readers.unread import foreign_content, suffix_of, unread_reason
from trawl.readers.values import coerce_option
from trawl.types import Modality, Reading

__all__ = [
    "FORMATS",
    "IN_PROCESS",
    "OCR_TYPES",
    "READERS",
    "SHOWING",
    "SUFFIXES",
    "TABLE_NAMES",
    "Format",
    "Limits",
    "PageProgress",
    "PictureLink",
    "Reader",
    "Sidecar",
    "Sidecars",
    "coerce_option",
    "media_type_of",
    "modality_of",
    "picture_links",
    "read",
    "suffix_of",
    "why_skipped",
    "why_unread",
]

FORMATS: tuple[Format, ...] = (
    *text.FORMATS,
    *markdown.FORMATS,
    *source.FORMATS,
    *latex.FORMATS,
    *records.FORMATS,
    *web.FORMATS,
    *word.FORMATS,
    *sheets.FORMATS,
    *slides.FORMATS,
    *open_documents.FORMATS,
    *books.FORMATS,
    *notebooks.FORMATS,
    *mails.FORMATS,
    *pdf.FORMATS,
    *pictures.FORMATS,
    *vectors.FORMATS,
    *sounds.FORMATS,
    *coded_sounds.FORMATS,
    *videos.FORMATS,
    *archives.FORMATS,
)

OCR_TYPES = frozenset({pdf.MEDIA_TYPE})
"""The media types whose content depends on the engine that recognises text."""

READERS: dict[str, Reader] = {format_.media_type: format_.read for format_ in FORMATS}
"""The reader of each media type."""

_MODALITIES = {format_.media_type: format_.modality for format_ in FORMATS}
IN_PROCESS = frozenset(format_.media_type for format_ in FORMATS if format_.in_process)
"""The media types that are read without a process of their own."""

_LINKS: dict[str, Callable[[Path], list[PictureLink]]] = {
    "text/markdown": markdown.picture_links,
    "text/html": web.picture_links,
    "text/x-tex": latex.picture_links,
}

SHOWING = frozenset(
    suffix for format_ in FORMATS if format_.media_type in _LINKS for suffix in format_.suffixes
)
"""The extensions of documents whose pictures `picture_links` returns."""

_BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}
SUFFIXES = frozenset(_BY_SUFFIX)
"""The extensions of the files that are read, with the dot."""


def media_type_of(path: Path) -> str | None:
    """Return a file's media type, detected by content first and extension second.

    Returns None if neither the extension nor the content is supported. Raises `ReadError` if
    the file cannot be opened, is empty although its extension is supported, or has another
    modality (text, image, audio) than its extension.
    """
    suffix = suffix_of(path.name)
    claimed = _BY_SUFFIX.get(suffix)
    head = read_head(path)
    if not head:
        if claimed is None or claimed.only_if_text:  # a marker, such as _SUCCESS
            return None
        raise ReadError("empty file")
    if looks_like_text(head) and not pdf.starts_pdf(head):
        if vectors.is_svg(head) and (claimed is None or claimed.modality == "image"):
            return "image/svg+xml"
        if claimed is None:
            return None if suffix else "text/plain"
        if claimed.modality != "text" or claimed.media_type == pdf.MEDIA_TYPE:
            raise ReadError(f"named {suffix} but contains plain text")
        return claimed.media_type
    if claimed is not None and claimed.heads and head.startswith(claimed.heads):
        return claimed.media_type
    if head.startswith(b"ID3"):
        with opened(path) as stream:
            head = head_behind_tag(stream, head) or head
    detected = next((f for f in FORMATS if f.matches is not None and f.matches(head)), None)
    if detected is None:
        if claimed is not None:
            foreign = foreign_content(head)
            if foreign:
                raise ReadError(f"named {suffix} but contains {foreign}")
            if claimed.only_if_text:
                return None
        return claimed.media_type if claimed else None
    if claimed is not None and claimed.family and claimed.family == detected.family:
        return claimed.media_type
    if claimed is not None and claimed.modality != detected.modality:
        raise ReadError(f"named {suffix} but contains {detected.name}")
    return detected.media_type


def picture_links(path: Path, media_type: str) -> list[PictureLink]:
    """Return the local pictures that a document shows, in order, with their captions.

    The pictures need not exist. Formats without such links have none. Raises `ReadError`.
    """
    find = _LINKS.get(media_type)
    if find is None:
        return []
    try:
        return find(path)
    except ReadError:
        raise
    except Exception as error:  # as in `read`
        reason = f"the {media_type} file cannot be read: {short_reason(error)}"
        raise ReadError(reason) from error


def read(
    path: Path,
    media_type: str,
    *,
    max_pixels: int = 100_000_000,
    progress: PageProgress = ignore_progress,
) -> Reading:
    """Read one file as a media type, which `media_type_of` detects.

    Raises `ReadError`, and nothing else, if the file is damaged, truncated or too large. The
    parts of a long document are read later, and a `Recording` is decoded by its `windows`; both
    raise `ReadError` too.
    """
    reader = READERS.get(media_type)
    if reader is None:
        raise ReadError(f"unsupported media type {media_type}; supported: {', '.join(READERS)}")
    return guarded(reader, path, media_type, Limits(max_pixels, progress))


def modality_of(media_type: str | None) -> Modality | None:
    """Return what the chunks of a media type are, None for a type that is not read."""
    return _MODALITIES.get(media_type) if media_type is not None else None


def why_unread(path: Path) -> str:
    """Return why `media_type_of` knows no type for a file, and what to do with it."""
    try:
        head = read_head(path)
    except ReadError as error:
        return str(error)
    suffix = suffix_of(path.name)
    if not head:
        return "empty file"
    if suffix in _BY_SUFFIX:  # such as video in .ts
        return f"named {suffix} but contains {foreign_content(head) or 'no text'}"
    return unread_reason(suffix, head)


def why_skipped(suffix: str) -> str:
    """Return why files of a folder with an extension ("" for none) are skipped."""
    if suffix in _BY_SUFFIX:
        return f"{suffix} is empty or not text"
    return unread_reason(suffix) if suffix else "no extension, and empty or not text"
