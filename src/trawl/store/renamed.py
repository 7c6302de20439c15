"""The rows of documents that have another id or address, with the vectors that they had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from trawl.store.rows import DocumentRow, full_text
from trawl.store.schema import TERMS_COLUMN, WORDS_COLUMN


def renamed_chunks(chunks: pa.Table, rows: Mapping[str, DocumentRow]) -> pa.Table:
    """Return rows of ``chunks`` as those of other documents. `rows` has these by the old id."""
    found = chunks.select(
        ["document_id", "ordinal", "title", "label", "text", "inner_text"]
    ).to_pylist()
    new = [rows[one["document_id"]] for one in found]
    indexed = [
        full_text(one["title"], (row.uri, *row.names), one["label"], one["text"], one["inner_text"])
        for one, row in zip(found, new, strict=True)
    ]
    return _with(
        chunks,
        {
            "chunk_id": [
                f"{row.document_id}:{one['ordinal']}" for one, row in zip(found, new, strict=True)
            ],
            "document_id": [row.document_id for row in new],
            "uri": [row.uri for row in new],
            WORDS_COLUMN: [exact for exact, _ in indexed],
            TERMS_COLUMN: [terms for _, terms in indexed],
        },
    )


def renamed_media(media: pa.Table, rows: Mapping[str, DocumentRow]) -> pa.Table:
    """Return rows of ``media`` as those of other documents. `rows` has these by the old id."""
    new = [rows[old].document_id for old in media["document_id"].to_pylist()]
    ordinals = (chunk_id.partition(":")[2] for chunk_id in media["chunk_id"].to_pylist())
    return _with(
        media,
        {
            "chunk_id": [f"{one}:{ordinal}" for one, ordinal in zip(new, ordinals, strict=True)],
            "document_id": new,
        },
    )


def _with(table: pa.Table, columns: Mapping[str, list[Any]]) -> pa.Table:
    for name, values in columns.items():
        field = table.schema.field(name)
        place = table.schema.get_field_index(name)
        table = table.set_column(place, field, pa.array(values, field.type))
    return table
