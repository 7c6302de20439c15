"""A chunk as it is shown."""

from __future__ import annotations

from typing import Any

from trawl.store.rows import metadata_from_json, span_from_row
from trawl.types import StoredChunk

SHOWN = [
    "chunk_id",
    "document_id",
    "uri",
    "title",
    "modality",
    "media_type",
    "text",
    "detail",
    "span",
    "metadata",
]
"""The columns that are read of it."""


def stored(row: dict[str, Any]) -> StoredChunk:
    """Give the chunk in a row that has the columns of `SHOWN`."""
    fields = {name: row[name] for name in SHOWN}
    fields["span"] = span_from_row(fields["span"])
    fields["metadata"] = metadata_from_json(fields["metadata"])
    return StoredChunk(**fields)
