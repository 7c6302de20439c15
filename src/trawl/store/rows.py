"""Convert between Trawl's types and the rows of its tables."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trawl import words
from trawl.store.columns import fit_value
from trawl.store.schema import (
    DOCUMENTS,
    LINKS,
    MEDIA,
    SPAN,
    TERMS_COLUMN,
    WORDS_COLUMN,
    has_sets,
    metadata_column,
    metadata_columns,
    null_columns,
    vector_column,
)
from trawl.types import (
    Chunk,
    Document,
    Edits,
    Link,
    Metadata,
    Passage,
    Region,
    Span,
    StoredChunk,
    Value,
    Vectors,
)

STORED_COLUMNS = [
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
    "label",
    "inner_text",
    "links",
    "likeness",
]
"""The columns of ``chunks`` that make a `StoredChunk`."""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A row of ``documents``. `error` is None for a document that was indexed.

    A document whose file could not be opened keeps its earlier chunks: `error` is set and
    `chunks` is not 0. `metadata` includes what was `given` with `add`, and the `edits`, which
    are also stored apart so that they survive a change of the file; so is an edited title or
    caption, under those keys. `own_title` is the file's title while an edit replaces it.
    `notices` state what differs from the file. `names` are the other paths that lead to the
    file by links.
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
    notices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    own_title: str | None = None
    given: Metadata = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document, chunks: int, error: str | None = None) -> DocumentRow:
        """Return the row of a document, added now."""
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
            notices=document.notices,
            names=document.names,
            given=document.given,
            edits=document.edits,
        )


def document_rows(table: pa.Table) -> list[DocumentRow]:
    """Convert rows from Arrow, ordered by `uri`."""
    rows = []
    for row in table.to_pylist():
        row["metadata"] = metadata_from_json(row["metadata"])
        row["edits"] = dict(metadata_from_json(row.get("edits")))
        row["given"] = metadata_from_json(row.get("given"))
        row["notices"] = tuple(row.get("notices") or ())
        row["names"] = tuple(row.get("names") or ())
        rows.append(DocumentRow(**row))
    return sorted(rows, key=lambda row: row.uri)


def document_table(rows: Sequence[DocumentRow]) -> pa.Table:
    """Convert rows to Arrow."""
    plain = [
        {name: getattr(row, name) for name in DOCUMENTS.names}
        | {
            "metadata": metadata_to_json(row.metadata),
            "edits": metadata_to_json(row.edits) if row.edits else None,
            "given": metadata_to_json(row.given) if row.given else None,
            "notices": list(row.notices) or None,
            "names": list(row.names) or None,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(plain, schema=DOCUMENTS)


def metadata_to_json(metadata: Mapping[str, Value | None]) -> str:
    """Return metadata or edits as JSON; a date or datetime is ``{"$date": ISO text}``."""
    return json.dumps(
        {
            key: {"$date": value.isoformat()} if isinstance(value, datetime.date) else value
            for key, value in metadata.items()
        },
        ensure_ascii=False,
    )


def metadata_from_json(text: str | None) -> Metadata:
    """Parse the JSON of `metadata_to_json`."""
    return {
        key: _date(value["$date"]) if isinstance(value, dict) else value
        for key, value in json.loads(text or "{}").items()
    }


def _date(text: str) -> datetime.date:
    kind = datetime.datetime if "T" in text else datetime.date
    return kind.fromisoformat(text)


def span_from_row(row: dict[str, Any] | None) -> Span:
    """Return the span of an Arrow struct."""
    found = dict(row or {})
    if found.get("box") is not None:
        found["box"] = tuple(found["box"])
    found["regions"] = tuple(
        Region(one["page"], tuple(one["box"])) for one in found.get("regions") or ()
    )
    return Span(**found)


def _links(chunk: Chunk) -> list[dict[str, Any]] | None:
    """Return the links of a chunk as its row has them, with the ordinals of the other chunks."""
    return [
        {"kind": link.kind, "ordinal": int(link.chunk_id.rpartition(":")[2]), "label": link.label}
        for link in chunk.links
    ] or None


def chunk_rows(
    documents: Sequence[tuple[Document, Sequence[Chunk]]], schema: pa.Schema
) -> pa.Table:
    """Return the rows of ``chunks`` for some documents, in the schema of the table."""
    pairs = [(document, chunk) for document, chunks in documents for chunk in chunks]
    indexed = [
        full_text(
            document.title,
            (document.uri, *document.names),
            chunk.label,
            chunk.text,
            chunk.words,
        )
        for document, chunk in pairs
    ]
    columns: dict[str, pa.Array] = {
        "chunk_id": pa.array([chunk.chunk_id for _, chunk in pairs], pa.string()),
        "document_id": pa.array([chunk.document_id for _, chunk in pairs], pa.string()),
        "ordinal": pa.array([chunk.ordinal for _, chunk in pairs], pa.int32()),
        "modality": pa.array([chunk.modality for _, chunk in pairs], pa.string()),
        "uri": pa.array([document.uri for document, _ in pairs], pa.string()),
        "title": pa.array([document.title for document, _ in pairs], pa.string()),
        "media_type": pa.array([document.media_type for document, _ in pairs], pa.string()),
        "text": pa.array([chunk.text for _, chunk in pairs], pa.string()),
        "own_text": pa.array([chunk.own_text for _, chunk in pairs], pa.string()),
        "head": pa.array([chunk.head or None for _, chunk in pairs], pa.string()),
        WORDS_COLUMN: pa.array([exact for exact, _ in indexed], pa.string()),
        TERMS_COLUMN: pa.array([terms for _, terms in indexed], pa.string()),
        "detail": pa.array([chunk.detail for _, chunk in pairs], pa.string()),
        "span": pa.array([chunk.span.as_dict() for _, chunk in pairs], SPAN),
        "label": pa.array([chunk.label for _, chunk in pairs], pa.string()),
        "inner_text": pa.array([chunk.words for _, chunk in pairs], pa.string()),
        "links": pa.array([_links(chunk) for _, chunk in pairs], LINKS),
        "content": pa.array([document.content for document, _ in pairs], pa.string()),
        "likeness": pa.array([chunk.likeness for _, chunk in pairs], pa.binary()),
        "metadata": pa.array(
            [metadata_to_json(document.metadata) for document, _ in pairs], pa.string()
        ),
    }
    for source in sorted({name for _, chunk in pairs for name in chunk.vectors}):
        name = vector_column(source)
        columns[name] = vector_array(
            [chunk.vectors.get(source) for _, chunk in pairs], schema, name
        )
    for key, kind in metadata_columns(schema).items():
        name = metadata_column(key)
        values = [fit_value(document.metadata.get(key), kind) for document, _ in pairs]
        columns[name] = pa.array(values, schema.field(name).type)
    columns |= null_columns(set(schema.names) - set(columns), schema, len(pairs))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def passage_text(title: str, head: str, text: str) -> Passage:
    """Return what is embedded of a passage, with the title and the `head` before it.

    A passage from the middle of a text often does not mention its subject.
    """
    heads = (title if title not in text else "", head)
    body = "\n".join([head, text]) if head else text
    return Passage("\n".join([*filter(None, heads), text]), title, body)


def full_text(
    title: str, uris: Sequence[str], label: str, text: str, inner: str
) -> tuple[str, str]:
    """Return the columns `words` and `terms` of a chunk.

    `uris` are all names of its file, `inner` is the text inside a picture. A label that the
    text begins with is not repeated.
    """
    names = dict.fromkeys(uri.rpartition("/")[2] for uri in uris)
    fields = (
        title,
        *(name for name in names if name != title),
        label if not text.startswith(label) else "",
        text,
        inner,
    )
    return words.indexed(field for field in fields if field)


def vector_array(
    vectors: Sequence[np.ndarray[Any, Any] | None], schema: pa.Schema, name: str
) -> pa.Array:
    """Return a nullable column of vectors, which must have length 1.

    LanceDB accepts zero vectors and NaN, and either breaks an index.
    """
    missing = np.array([vector is None for vector in vectors], bool)
    given = [vector for vector in vectors if vector is not None]
    present = np.stack(given) if given else np.zeros((0, 0), np.float32)
    norms = np.linalg.norm(present, axis=1)
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise AssertionError(f"{name}: a vector's length is not 1")
    field = schema.field(name)
    if has_sets(field):
        return _sets(present, missing, field.type.value_type)
    dimension = field.type.list_size
    rows = np.zeros((len(vectors), dimension), np.float32)
    if given:
        rows[~missing] = present
    return pa.FixedSizeListArray.from_arrays(
        pa.array(rows.ravel()), dimension, mask=pa.array(missing)
    )


def media_rows(chunks: Iterable[Chunk]) -> pa.Table:
    """Return the rows of ``media`` for the chunks that have a thumbnail."""
    pictured = [chunk for chunk in chunks if chunk.thumbnail is not None]
    return pa.table(
        [
            pa.array([chunk.chunk_id for chunk in pictured], pa.string()),
            pa.array([chunk.document_id for chunk in pictured], pa.string()),
            pa.array([chunk.thumbnail for chunk in pictured], pa.binary()),
        ],
        schema=MEDIA,
    )


def stored_chunk(row: dict[str, Any]) -> StoredChunk:
    """Return the chunk of a row that has the `STORED_COLUMNS`."""
    fields = {name: row[name] for name in STORED_COLUMNS}
    fields["span"] = span_from_row(fields["span"])
    fields["metadata"] = metadata_from_json(fields["metadata"])
    fields["words"] = fields.pop("inner_text")
    fields["links"] = tuple(
        Link(one["kind"], f"{row['document_id']}:{one['ordinal']}", one["label"])
        for one in fields["links"] or ()
    )
    return StoredChunk(**fields)


def row_ids(table: pa.Table) -> NDArray[np.int64]:
    """Return the row ids of a table that was read with them, int64 [N]."""
    return np.asarray(table["_rowid"].to_numpy().astype(np.int64))


def _sets(present: NDArray[np.float32], missing: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """Return a nullable column of sets of unit vectors, of flat ones [N, D]."""
    flat = present.reshape(-1, kind.list_size)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    values = pa.array((flat / lengths).astype(np.float16).reshape(-1), pa.float16())
    size = present.shape[1] // kind.list_size
    offsets = np.concatenate([[0], np.cumsum(np.where(missing, 0, size))]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        pa.FixedSizeListArray.from_arrays(values, kind.list_size),
        mask=pa.array(missing),
    )


def vectors_of(table: pa.Table, column: str) -> tuple[pa.Table, Vectors]:
    """Return the rows that have a vector in `column`, and the vectors, float32 [N, D]."""
    having = table.filter(table[column].is_valid())
    field = table.schema.field(column)
    values = having[column].combine_chunks().flatten()
    if not has_sets(field):
        vectors = np.asarray(values, np.float32).reshape(-1, field.type.list_size)
        return having, vectors
    flat = np.asarray(values.flatten(), np.float32).reshape(having.num_rows, -1)
    if not having.num_rows:
        return having, flat
    return having, flat / np.linalg.norm(flat, axis=1, keepdims=True)
