"""Render values, addresses and messages as JSON holds them."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json, to_jsonable_python

from trawl.types import Modality, Span

_PATH = re.compile(r"(?<![\w./])/(?:[^\s/]+/)+([^\s/]+)")
_MARKS = re.compile(r"</?mark>")


def jsonable(value: object) -> Any:
    """Return a value as JSON types, dataclasses under their own field names.

    Dates become ISO 8601 text, NumPy numbers Python's; NaN and infinity become None.
    """
    return to_jsonable_python(value, inf_nan_mode="null", fallback=numpy_number)


def to_bytes(fields: object) -> bytes:
    """Return JSON in UTF-8. Dates become ISO 8601 text; NaN and infinity become null."""
    return to_json(fields, inf_nan_mode="null", fallback=numpy_number)


def numpy_number(value: Any) -> Any:
    """Return a NumPy number as Python's. Raises TypeError for other values."""
    if not hasattr(value, "item"):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return value.item()


def file_name(uri: str) -> str:
    """Return the last part of an address. Directories are not shown to clients."""
    return uri.rstrip("/").rpartition("/")[2]


def without_paths(reason: str) -> str:
    """Return a message with each path shortened to its last part."""
    return _PATH.sub(r"\1", reason)


def plain_text(snippet: str) -> str:
    """Return a snippet without `<mark>` and HTML escapes."""
    return html.unescape(_MARKS.sub("", snippet))


def thumbnail_url(chunk_id: str, modality: Modality, root_path: str = "") -> str | None:
    """Return the address of a picture's thumbnail, or None for other modalities."""
    if modality != "image":
        return None
    return f"{root_path}/chunks/{quote(chunk_id, safe=':')}/thumbnail"


def media_url(chunk_id: str, root_path: str = "") -> str:
    """Return the address of a chunk's file."""
    return f"{root_path}/v1/chunks/{quote(chunk_id, safe=':')}/media"


def segment_url(chunk_id: str, modality: Modality, span: Span, root_path: str = "") -> str | None:
    """Return the address of a picture, sound or transcript, with a media fragment for a segment."""
    is_segment = span.start_s is not None and span.end_s is not None
    if modality == "text" and not is_segment:
        return None
    window = ""
    if is_segment:
        window = f"#t={span.start_s:g},{span.end_s:g}"
    return media_url(chunk_id, root_path) + window
