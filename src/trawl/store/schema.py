"""The tables of a library as Arrow schemas, their column names, and SQL conditions on them.

``chunks``
    one row per chunk: its text, span, document, metadata and vectors;
``documents``
    one row per source file: content hash and outcome, written after its chunks;
``media``
    one row per picture: its thumbnail.

A vector column is named ``v_`` and the source, a metadata column ``m_`` and the key.
Both names are encoded reversibly, so no name that a user chose needs quoting, and no
two names share a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

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
    "datetime": pa.timestamp("us"),
    "texts": pa.list_(pa.string()),
}

BUILT_IN_COLUMNS: Mapping[str, ColumnType] = {
    "modality": "text",
    "document_id": "text",
    "uri": "text",
    "title": "text",
    "media_type": "text",
}
"""The columns that every library can filter by. They hide metadata keys of the same name."""

WORDS_COLUMN = "words"
"""The full-text column for phrases and exact and fuzzy words (`trawl.words`)."""

TERMS_COLUMN = "terms"
"""The full-text column for BM25."""

AS_ANALYSED: Mapping[str, Any] = {
    "base_tokenizer": "whitespace",
    "max_token_length": 1_000_000,
    "lower_case": False,
    "stem": False,
    "remove_stop_words": False,
    "ascii_folding": False,
}
"""The options of both full-text indexes, which leave the words as `trawl.words` wrote them."""

SPAN = pa.struct(
    [
        ("start_char", pa.int64()),
        ("end_char", pa.int64()),
        ("page", pa.int32()),
        ("box", pa.list_(pa.float64())),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("section", pa.string()),
        ("regions", pa.list_(pa.struct([("page", pa.int32()), ("box", pa.list_(pa.float64()))]))),
    ]
)

# The other chunk is of the same document; only its ordinal is stored, so that a document
# whose id changes keeps its links.
LINKS = pa.list_(
    pa.struct([("kind", pa.string()), ("ordinal", pa.int32()), ("label", pa.string())])
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
        # Older libraries lack these columns; the next writer adds them.
        pa.field("modified_ns", pa.int64()),
        pa.field("edits", pa.string()),
        pa.field("notices", pa.list_(pa.string())),
        pa.field("names", pa.list_(pa.string())),
        pa.field("own_title", pa.string()),
        pa.field("given", pa.string()),
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
    """Return the schema of ``chunks``, with a vector column for each source ("mini.image")."""
    fields = [
        pa.field("chunk_id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32()),
        pa.field("modality", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("title", pa.string()),
        pa.field("media_type", pa.string()),
        pa.field("text", pa.string()),
        # The file's own caption while an edit replaces it.
        pa.field("own_text", pa.string()),
        # What is embedded before a passage, beside the title: the caption of its table.
        pa.field("head", pa.string()),
        pa.field("label", pa.string()),
        # The text inside a picture, which is searched but is not its caption.
        pa.field("inner_text", pa.string()),
        # The words of the title, the file name, the label, the passage or caption, and the text
        # inside a picture.
        pa.field(WORDS_COLUMN, pa.string()),
        pa.field(TERMS_COLUMN, pa.string()),
        pa.field("detail", pa.string()),
        pa.field("span", SPAN),
        pa.field("links", LINKS),
        pa.field("likeness", pa.binary()),
        pa.field("metadata", pa.string()),
        # The same for files of the same bytes; see `Document.content`.
        pa.field("content", pa.string()),
    ]
    for name, space in sources.items():
        fields.append(pa.field(vector_column(name), _vector_type(space)))
    return pa.schema(fields)


def _vector_type(space: Space) -> pa.DataType:
    """Return the type of a column of vectors, or of sets of vectors, which take half the bytes."""
    if space.parts == 1:
        return pa.list_(pa.float32(), space.dimension)
    return pa.list_(pa.list_(pa.float16(), space.width))


def has_sets(field: pa.Field) -> bool:
    """Return whether a column of vectors has sets of them."""
    return bool(pa.types.is_list(field.type))


def vector_column(source: str) -> str:
    """Return the name of the column with a source's vectors."""
    return "v_" + _safe(source)


def is_text_vector(column: str) -> bool:
    """Return whether a column has the vectors of passages and captions."""
    return column.startswith("v_") and _unsafe(column[2:]).endswith(".text")


def metadata_column(key: str) -> str:
    """Return the name of the column with a metadata key's values."""
    return "m_" + _safe(key)


def filter_column(key: str) -> str:
    """Return the column that a filter on `key` reads: a built-in one, or the metadata's."""
    return key if key in BUILT_IN_COLUMNS else metadata_column(key)


def metadata_fields(columns: Mapping[str, ColumnType]) -> pa.Schema:
    """Return the Arrow fields of new metadata columns."""
    return pa.schema(
        [
            pa.field(metadata_column(key), _ARROW_TYPES[kind], metadata={"trawl:key": key})
            for key, kind in columns.items()
        ]
    )


def rewritten_column(key: str) -> str:
    """Return the name of a metadata column while it is rewritten, which no reader uses."""
    return "new_" + _safe(key)


def replaced_column(key: str) -> str:
    """Return the name of a metadata column after it was rewritten, until it is dropped."""
    return "old_" + _safe(key)


def is_leftover(column: str) -> bool:
    """Return whether a column is left over from a writer that was killed."""
    return column.startswith(("new_", "old_"))


def metadata_columns(schema: pa.Schema) -> dict[str, ColumnType]:
    """Return the metadata keys and their types from the schema of ``chunks``."""
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
    """Encode any text as lower-case ASCII letters, digits and `_`, reversibly.

    Every byte of UTF-8 outside a-z and 0-9 becomes `_` and two hexadecimal digits.
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
    """Return columns of nulls, for columns that the rows have no values for."""
    return {name: pa.nulls(rows, schema.field(name).type) for name in names}


def quoted(text: str) -> str:
    """Return text as an SQL literal. Bytes of paths that are not UTF-8 match nothing stored."""
    valid = text.encode("utf-8", "backslashreplace").decode()
    return "'" + valid.replace("'", "''") + "'"


def one_of(column: str, values: Iterable[str]) -> str:
    """Return the condition that a text column is one of `values`, at least one."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def row_is_one_of(rows: Iterable[int]) -> str:
    """Return the condition that a row id is one of `rows`; false for no rows."""
    listed = ", ".join(map(str, rows))
    return f"_rowid IN ({listed})" if listed else "1 = 0"


def has_name(name: str) -> str:
    """Return the condition that the last part of a document's `uri` is `name`."""
    return f"(uri = {quoted(name)} OR ends_with(uri, {quoted('/' + name)}))"


def contains_phrase(exact: str) -> str:
    """Return the condition that the words of a chunk contain `trawl.words.phrase_terms`."""
    return f"contains({WORDS_COLUMN}, {quoted(f' {exact} ')})"


def may_have(source: str) -> str:
    """Return the condition that a chunk may have a source's vector, without reading vectors."""
    return may_have_vector(vector_column(source))


def may_have_vector(column: str) -> str:
    """Return the condition that a chunk may have a vector in a column, without reading vectors."""
    modality = _unsafe(column[2:]).rpartition(".")[2]
    return f"modality = {quoted(modality)}" + (" OR text <> ''" if modality == "text" else "")
