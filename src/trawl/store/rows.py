"""Between the types of Trawl and the rows of its tables."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from trawl.errors import MetadataError
from trawl.store.schema import (
    MEDIA,
    SPAN,
    metadata_column,
    metadata_columns,
    null_columns,
    vector_column,
)
from trawl.types import Chunk, ColumnType, Document, Edits, Metadata, Span, Value

_INT64 = 2**63


def column_type(key: str, value: Value) -> ColumnType:
    """Tell which type of column holds `value`. Raises `MetadataError` for one that none does."""
    match value:
        case bool():
            return "boolean"
        case int():
            if not -_INT64 <= value < _INT64:
                raise MetadataError(f"metadata {key!r}: {value} does not fit 64 bits")
            return "integer"
        case float():
            if not np.isfinite(value):
                raise MetadataError(f"metadata {key!r}: {value} is not a number")
            return "real"
        case str():
            return "text"
        case datetime.date():
            return "date"
        case list():
            return "texts"


def fit_metadata(metadata: Metadata, columns: dict[str, ColumnType]) -> Metadata:
    """Give `metadata` as the library's columns hold it, and enter its new keys in `columns`.

    Whole numbers fit a column of reals. Raises `MetadataError` where a value is of
    another type than its column; `columns` is then left as it was.
    """
    fitted: Metadata = {}
    new: dict[str, ColumnType] = {}
    for key, value in metadata.items():
        kind = column_type(key, value)
        wanted = columns.get(key)
        if wanted is None:
            new[key] = kind
        elif wanted == "real" and isinstance(value, int) and kind == "integer":
            value = float(value)
        elif kind != wanted:
            raise MetadataError(
                f"metadata {key!r} is {wanted} in this library, and here it is {kind} "
                f"({value!r}); change the value, or use another key"
            )
        fitted[key] = value
    columns.update(new)
    return fitted


def edited(metadata: Metadata, edits: Edits) -> Metadata:
    """Give metadata with a person's changes."""
    return {key: value for key, value in {**metadata, **edits}.items() if value is not None}


def with_metadata(chunks: pa.Table, metadata: Metadata) -> pa.Table:
    """Give rows of ``chunks``, all of one document, with other metadata."""
    values: dict[str, Value | None] = {"metadata": metadata_to_json(metadata)}
    for key in metadata_columns(chunks.schema):
        values[metadata_column(key)] = metadata.get(key)
    for name, value in values.items():
        field = chunks.schema.field(name)
        column = pa.array([value] * chunks.num_rows, field.type)
        chunks = chunks.set_column(chunks.schema.get_field_index(name), field, column)
    return chunks


def metadata_to_json(metadata: Mapping[str, Value | None]) -> str:
    """Give metadata, or edits of it, as JSON; dates as ISO text under a `$date`."""
    return json.dumps(
        {
            key: {"$date": value.isoformat()} if isinstance(value, datetime.date) else value
            for key, value in metadata.items()
        },
        ensure_ascii=False,
    )


def metadata_from_json(text: str | None) -> Metadata:
    """Read what `metadata_to_json` wrote."""
    return {
        key: datetime.date.fromisoformat(value["$date"]) if isinstance(value, dict) else value
        for key, value in json.loads(text or "{}").items()
    }


def span_from_row(row: dict[str, Any] | None) -> Span:
    """Read a span from the struct that Arrow gives."""
    found = dict(row or {})
    box = found.get("box")
    if box is not None:
        found["box"] = tuple(round(side, 3) for side in box)
    return Span(**found)


def chunk_rows(
    documents: Sequence[tuple[Document, Sequence[Chunk]]], schema: pa.Schema
) -> pa.Table:
    """Give the rows of ``chunks`` for some documents, in the schema of the table."""
    pairs = [(document, chunk) for document, chunks in documents for chunk in chunks]
    columns: dict[str, pa.Array] = {
        "chunk_id": pa.array([chunk.chunk_id for _, chunk in pairs], pa.string()),
        "document_id": pa.array([chunk.document_id for _, chunk in pairs], pa.string()),
        "ordinal": pa.array([chunk.ordinal for _, chunk in pairs], pa.int32()),
        "modality": pa.array([chunk.modality for _, chunk in pairs], pa.string()),
        "uri": pa.array([document.uri for document, _ in pairs], pa.string()),
        "title": pa.array([document.title for document, _ in pairs], pa.string()),
        "media_type": pa.array([document.media_type for document, _ in pairs], pa.string()),
        "text": pa.array([chunk.text for _, chunk in pairs], pa.string()),
        "words": pa.array([_words(document, chunk) for document, chunk in pairs], pa.string()),
        "detail": pa.array([chunk.detail for _, chunk in pairs], pa.string()),
        "span": pa.array([chunk.span.as_dict() for _, chunk in pairs], SPAN),
        "metadata": pa.array(
            [metadata_to_json(document.metadata) for document, _ in pairs], pa.string()
        ),
    }
    for source in sorted({name for _, chunk in pairs for name in chunk.vectors}):
        name = vector_column(source)
        columns[name] = _vectors([chunk.vectors.get(source) for _, chunk in pairs], schema, name)
    for key in metadata_columns(schema):
        name = metadata_column(key)
        values = [document.metadata.get(key) for document, _ in pairs]
        columns[name] = pa.array(values, schema.field(name).type)
    columns |= null_columns(set(schema.names) - set(columns), schema, len(pairs))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _words(document: Document, chunk: Chunk) -> str:
    name = document.uri.rpartition("/")[2]
    lines = [document.title, name if name != document.title else "", chunk.text]
    return "\n".join(line for line in lines if line)


def _vectors(
    vectors: Sequence[np.ndarray[Any, Any] | None], schema: pa.Schema, name: str
) -> pa.Array:
    """Give a nullable fixed-size-list column, refusing what is not of unit length.

    LanceDB accepts a zero vector, and a NaN poisons an index: neither may get in.
    """
    dimension = schema.field(name).type.list_size
    rows = np.zeros((len(vectors), dimension), np.float32)
    missing = np.ones(len(vectors), bool)
    for index, vector in enumerate(vectors):
        if vector is not None:
            rows[index] = vector
            missing[index] = False
    norms = np.linalg.norm(rows[~missing], axis=1)
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise AssertionError(f"{name}: a vector whose length is not 1")
    return pa.FixedSizeListArray.from_arrays(
        pa.array(rows.ravel()), dimension, mask=pa.array(missing)
    )


def media_rows(chunks: Iterable[Chunk]) -> pa.Table:
    """Give the rows of ``media`` for the chunks that have a thumbnail."""
    pictured = [chunk for chunk in chunks if chunk.thumbnail is not None]
    return pa.table(
        [
            pa.array([chunk.chunk_id for chunk in pictured], pa.string()),
            pa.array([chunk.document_id for chunk in pictured], pa.string()),
            pa.array([chunk.thumbnail for chunk in pictured], pa.binary()),
        ],
        schema=MEDIA,
    )
