"""Readers: from a file to its text, picture or sound, and its metadata.

A format is one file with a `FORMATS` tuple, and one line here. `media_type_of` decides what a file
is, `read` reads it, `Sidecars` finds the metadata that lies beside it.
"""

from __future__ import annotations

from pathlib import Path

from trawl.errors import ReadError
from trawl.readers import markdown, pictures, sounds, text
from trawl.readers.formats import Format, Limits, Reader, read_head
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
    *pictures.FORMATS,
    *sounds.FORMATS,
)

READERS: dict[str, Reader] = {format_.media_type: format_.read for format_ in FORMATS}
"""The reader of each media type."""

_BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}

# What no reader reads, but people rename; for the message alone.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\x7fELF", "a program"),
    (4, b"ftyp", "a file of the MP4 family (video, HEIC or AVIF)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
)


def media_type_of(path: Path) -> str | None:
    """Tell a file's media type, by its content first and its name second.

    None for a file that is not for this library: its suffix has no reader and its content is no
    known picture or sound. Raises `ReadError` for a file that its name promises to be readable
    and that is empty, or holds another class (text, image, audio) than its suffix claims, or may
    not be read.
    """
    suffix = path.suffix.lower()
    claimed = _BY_SUFFIX.get(suffix)
    head = read_head(path)
    if not head:
        if claimed is None and suffix:
            return None
        raise ReadError("empty file")
    if looks_like_text(head):
        if claimed is None:
            return None if suffix else "text/plain"
        if claimed.modality != "text":
            raise ReadError(f"named {suffix} but holds plain text")
        return claimed.media_type
    found = next((f for f in FORMATS if f.matches is not None and f.matches(head)), None)
    if found is None:
        if claimed is not None:
            _refuse_foreign(head, suffix)
        return claimed.media_type if claimed else None
    if claimed is not None and claimed.modality != found.modality:
        raise ReadError(f"named {suffix} but holds {found.name}")
    return found.media_type


def read(path: Path, media_type: str, *, max_pixels: int = 100_000_000) -> Reading:
    """Read one file whole, as the type that `media_type_of` gave.

    Raises `ReadError`, and nothing else, for a file that cannot be read whole. A `Recording` in
    the reading is decoded later, by its `windows`, which raises `ReadError` too.
    """
    reader = READERS.get(media_type)
    if reader is None:
        raise ReadError(f"no reader for {media_type}; there are: {', '.join(READERS)}")
    try:
        return reader(path, Limits(max_pixels=max_pixels))
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError("too large for the memory there is") from error
    except Exception as error:  # a damaged file may break a library in any way it likes
        said = " ".join(str(error).split())[:200]
        raise ReadError(f"{media_type} that cannot be read: {said or type(error).__name__}") from (
            error
        )


def _refuse_foreign(head: bytes, suffix: str) -> None:
    for offset, mark, name in _FOREIGN:
        if head[offset : offset + len(mark)] == mark:
            raise ReadError(f"named {suffix} but holds {name}")
