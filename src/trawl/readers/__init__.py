"""Read files: text, images and audio, with their metadata.

Each module exports a `FORMATS` tuple. `media_type_of` detects a file's type, `read` reads the
file, and `Sidecars` finds metadata in neighbouring files.
"""

from __future__ import annotations

from pathlib import Path

from trawl.errors import ReadError
from trawl.readers import coded_sounds, markdown, pictures, records, sounds, source, text
from trawl.readers.containers import head_behind_tag
from trawl.readers.formats import Format, Limits, Reader, opened, read_head, short_reason
from trawl.readers.markdown import PictureLink, picture_links
from trawl.readers.sidecars import Sidecar, Sidecars
from trawl.readers.text import looks_like_text
from trawl.readers.values import coerce_option
from trawl.types import Reading

__all__ = [
    "FORMATS",
    "READERS",
    "Format",
    "Limits",
    "PictureLink",
    "Reader",
    "Sidecar",
    "Sidecars",
    "coerce_option",
    "media_type_of",
    "picture_links",
    "read",
]

FORMATS: tuple[Format, ...] = (
    *text.FORMATS,
    *markdown.FORMATS,
    *source.FORMATS,
    *records.FORMATS,
    *pictures.FORMATS,
    *sounds.FORMATS,
    *coded_sounds.FORMATS,
)

READERS: dict[str, Reader] = {format_.media_type: format_.read for format_ in FORMATS}
"""The reader of each media type."""

_BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}

# Unsupported types that are often renamed, for error messages.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\x7fELF", "a program"),
    (4, b"ftyp", "a file of the MP4 family (such as video)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
)


def media_type_of(path: Path) -> str | None:
    """Return a file's media type, detected by content first and extension second.

    Returns None if neither the extension nor the content is supported. Raises `ReadError` if
    the file cannot be opened, is empty although its extension is supported, or has another
    modality (text, image, audio) than its extension.
    """
    suffix = path.suffix.lower()
    claimed = _BY_SUFFIX.get(suffix)
    head = read_head(path)
    if not head:
        if claimed is None or claimed.only_if_text:  # a marker, such as _SUCCESS
            return None
        raise ReadError("empty file")
    if looks_like_text(head):
        if claimed is None:
            return None if suffix else "text/plain"
        if claimed.modality != "text":
            raise ReadError(f"named {suffix} but contains plain text")
        return claimed.media_type
    if head.startswith(b"ID3"):
        with opened(path) as stream:
            head = head_behind_tag(stream, head) or head
    detected = next((f for f in FORMATS if f.matches is not None and f.matches(head)), None)
    if detected is None:
        if claimed is not None:
            if claimed.media_type != "audio/mp4":  # of the MP4 family, like videos
                _reject_foreign(head, suffix)
            if claimed.only_if_text:
                return None
        return claimed.media_type if claimed else None
    if claimed is not None and claimed.modality != detected.modality:
        raise ReadError(f"named {suffix} but contains {detected.name}")
    return detected.media_type


def read(path: Path, media_type: str, *, max_pixels: int = 100_000_000) -> Reading:
    """Read one file as a media type, which `media_type_of` detects.

    Raises `ReadError`, and nothing else, if the file is damaged, truncated or too large. A
    `Recording` in the reading is decoded later, by its `windows`, which raises `ReadError` too.
    """
    reader = READERS.get(media_type)
    if reader is None:
        raise ReadError(f"unsupported media type {media_type}; supported: {', '.join(READERS)}")
    try:
        return reader(path, Limits(max_pixels=max_pixels))
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError("too large for the available memory") from error
    except Exception as error:  # libraries raise all kinds of exceptions for damaged files
        reason = short_reason(error)
        raise ReadError(f"the {media_type} file cannot be read: {reason}") from error


def _reject_foreign(head: bytes, suffix: str) -> None:
    for offset, magic, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            raise ReadError(f"named {suffix} but contains {name}")
