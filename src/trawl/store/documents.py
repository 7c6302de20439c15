"""The rows of ``documents``: what is in the library, and what could not be read."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from trawl.store.rows import metadata_from_json, metadata_to_json
from trawl.store.schema import DOCUMENTS
from trawl.types import Document, Edits, Metadata


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as the library knows it. `error` is None for one that is in.

    A document whose file could not be opened keeps what was indexed of it before:
    then `error` is set and `chunks` is not 0. `metadata` has the `edits` in it, which are
    kept apart so that they outlive a change of the file.
    """

    document_id: str
    uri: str
    content_hash: str
    media_type: str
    title: str
    metadata: Metadata
    size_bytes: int
    chunks: int
    error: str | None
    added_at: datetime.datetime
    modified_ns: int | None = None
    edits: Edits = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document, chunks: int, error: str | None = None) -> DocumentRow:
        """Give the row of a document, as of now."""
        return cls(
            document_id=document.document_id,
            uri=document.uri,
            content_hash=document.content_hash,
            media_type=document.media_type,
            title=document.title,
            metadata=document.metadata,
            size_bytes=document.size_bytes,
            chunks=chunks,
            error=error,
            added_at=datetime.datetime.now(datetime.UTC),
            modified_ns=document.modified_ns,
        )


def document_rows(table: pa.Table) -> list[DocumentRow]:
    """Read rows from Arrow, ordered by their address."""
    rows = []
    for row in table.to_pylist():
        row["metadata"] = metadata_from_json(row["metadata"])
        row["edits"] = dict(metadata_from_json(row.get("edits")))
        rows.append(DocumentRow(**row))
    return sorted(rows, key=lambda row: row.uri)


def document_table(rows: Sequence[DocumentRow]) -> pa.Table:
    """Give rows as Arrow."""
    plain = [
        {name: getattr(row, name) for name in DOCUMENTS.names}
        | {
            "metadata": metadata_to_json(row.metadata),
            "edits": metadata_to_json(row.edits) if row.edits else None,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(plain, schema=DOCUMENTS)
