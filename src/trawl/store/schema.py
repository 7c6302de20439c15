"""The tables of a library as Arrow schemas, and the names of their columns.

``chunks``
    one row a chunk: its text, span, document, metadata and vectors;
``documents``
    one row a source file: content hash and outcome, written after its chunks;
``media``
    one row a picture: its thumbnail.

A vector's column is ``v_`` and its source's name, a metadata key's column ``m_``
and the key, both through `column_name`; so no name that a user chose ever has to
be quoted, and no two names share a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pyarrow as pa

from trawl.types import ColumnType, Space

# The key that LanceDB's `set_unenforced_primary_key` writes. Without it, two
# writers that upsert one new chunk would both insert it (notes: lance#8949).
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")

_ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "texts": pa.list_(pa.string()),
}

BUILT_IN_COLUMNS: Mapping[str, ColumnType] = {
    "modality": "text",
    "document_id": "text",
    "uri": "text",
    "title": "text",
    "media_type": "text",
}
"""What can be filtered by in every library. A metadata key of the same name comes second."""

SPAN = pa.struct(
    [
        ("start_char", pa.int64()),
        ("end_char", pa.int64()),
        ("page", pa.int32()),
        ("box", pa.list_(pa.float32())),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
    ]
)

DOCUMENTS = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("content_hash", pa.string()),
        pa.field("media_type", pa.string()),
        pa.field("title", pa.string()),
        pa.field("metadata", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("chunks", pa.int32()),
        pa.field("error", pa.string()),
        pa.field("added_at", pa.timestamp("ms", tz="UTC")),
        # Not in libraries made before them; the next writer adds them.
        pa.field("modified_ns", pa.int64()),
        pa.field("edits", pa.string()),
    ]
)

MEDIA = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("thumbnail", pa.binary()),
    ]
)


def chunks_schema(sources: Mapping[str, Space]) -> pa.Schema:
    """Give the schema of ``chunks``, with a vector column for each source ("mini.image")."""
    fields = [
        pa.field("chunk_id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32()),
        pa.field("modality", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("title", pa.string()),
        pa.field("media_type", pa.string()),
        pa.field("text", pa.string()),
        # What BM25 sees: the title, the file's name, and the passage or the caption.
        pa.field("words", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("span", SPAN),
        pa.field("metadata", pa.string()),
    ]
    for name, space in sources.items():
        fields.append(pa.field(vector_column(name), pa.list_(pa.float32(), space.dimension)))
    return pa.schema(fields)


def vector_column(source: str) -> str:
    """Name the column that holds a source's vectors."""
    return "v_" + _safe(source)


def metadata_column(key: str) -> str:
    """Name the column that holds a metadata key's values."""
    return "m_" + _safe(key)


def filter_column(key: str) -> str:
    """Name the column that a filter on `key` reads: a built-in one, or the metadata's."""
    return key if key in BUILT_IN_COLUMNS else metadata_column(key)


def metadata_fields(columns: Mapping[str, ColumnType]) -> pa.Schema:
    """Give the Arrow fields of new metadata columns."""
    return pa.schema(
        [
            pa.field(metadata_column(key), _ARROW_TYPES[kind], metadata={"trawl:key": key})
            for key, kind in columns.items()
        ]
    )


def metadata_columns(schema: pa.Schema) -> dict[str, ColumnType]:
    """Read the metadata keys and their types back from the schema of ``chunks``."""
    found: dict[str, ColumnType] = {}
    for field in schema:
        if field.name.startswith("m_"):
            found[_unsafe(field.name[2:])] = _column_type(field.type)
    return found


def _column_type(arrow_type: pa.DataType) -> ColumnType:
    for kind, candidate in _ARROW_TYPES.items():
        if candidate.equals(arrow_type):
            return kind
    raise AssertionError(f"a metadata column of type {arrow_type}")


def _safe(name: str) -> str:
    """Turn any text into lower-case ASCII letters, digits and `_`, reversibly.

    Every byte of UTF-8 outside a-z and 0-9 becomes `_` and two hexadecimal digits,
    so equal columns mean equal names.
    """
    return "".join(
        chr(byte) if byte in _PLAIN else f"_{byte:02x}"
        for byte in name.encode("utf-8", "surrogatepass")
    )


def _unsafe(column: str) -> str:
    raw = re.sub(
        rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), column.encode("ascii")
    )
    return raw.decode("utf-8", "surrogatepass")


def null_columns(names: Iterable[str], schema: pa.Schema, rows: int) -> dict[str, pa.Array]:
    """Give columns of nulls, for what the rows at hand have nothing of."""
    return {name: pa.nulls(rows, schema.field(name).type) for name in names}
