"""A chunk as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trawl.store.rows import metadata_from_json, span_from_row
from trawl.types import Metadata, Modality, Span

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


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it is shown: everything but its vectors."""

    chunk_id: str
    document_id: str
    uri: str
    title: str
    modality: Modality
    media_type: str
    text: str
    detail: str
    span: Span
    metadata: Metadata


def stored(row: dict[str, Any]) -> StoredChunk:
    """Give the chunk in a row that has the columns of `SHOWN`."""
    fields = {name: row[name] for name in SHOWN}
    fields["span"] = span_from_row(fields["span"])
    fields["metadata"] = metadata_from_json(fields["metadata"])
    return StoredChunk(**fields)
