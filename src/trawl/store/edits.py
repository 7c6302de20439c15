"""Edits of a document: its metadata, its title, and the caption of its pictures and sounds.

The document's row keeps the edits apart from what is in the file. `applied` writes them into the
document's chunks, and can be repeated: it depends only on the row and the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trawl.store.columns import fit_value
from trawl.store.rows import (
    DocumentRow,
    full_text,
    metadata_to_json,
    passage_text,
    vector_array,
    vectors_of,
)
from trawl.store.schema import (
    TERMS_COLUMN,
    WORDS_COLUMN,
    is_text_vector,
    metadata_column,
    metadata_columns,
    vector_column,
)
from trawl.types import Document, Edits, Metadata

TITLE, CAPTION = "title", "caption"
"""The keys of edits that are not metadata."""

TextVectors: TypeAlias = Mapping[str, NDArray[np.float32]]
"""The vectors of a text by source, each float32 [D]."""

EmbedTexts: TypeAlias = Callable[[Sequence[str]], Sequence[TextVectors]]
"""Embeds passages and captions again. Raises `MetadataError` if a text cannot be embedded."""


def takes_caption(media_type: str) -> bool:
    """Return whether a file's caption is that of its pictures and sounds; those in texts differ."""
    return not media_type.startswith(("text/", "application/"))


def edited(metadata: Metadata, edits: Edits) -> Metadata:
    """Apply edits to metadata; a value of None removes the key."""
    changes = {key: value for key, value in edits.items() if key not in (TITLE, CAPTION)}
    return {key: value for key, value in {**metadata, **changes}.items() if value is not None}


def edited_title(title: str, edits: Edits) -> str:
    """Return the edited title, or that of the file."""
    return str(edits.get(TITLE) or title)


def edited_caption(edits: Edits) -> str | None:
    """Return the edited caption, "" to hide the file's, or None if there is no edit."""
    caption = edits.get(CAPTION)
    return None if caption is None else str(caption)


def edited_document(document: Document, edits: Edits) -> Document:
    """Return a document with its edited title and metadata."""
    return replace(
        document,
        title=edited_title(document.title, edits),
        metadata=edited(document.metadata, edits),
    )


def edited_row(row: DocumentRow, edits: Edits) -> DocumentRow:
    """Return a row with further edits. A title of None restores the file's."""
    edits = {**row.edits, **edits}
    own = row.title if row.own_title is None else row.own_title
    return replace(
        row,
        title=edited_title(own, edits),
        own_title=own if edits.get(TITLE) else None,
        metadata=edited(row.metadata, edits),
        edits=edits,
    )


def applied(row: DocumentRow, chunks: pa.Table, embed: EmbedTexts | None) -> pa.Table | None:
    """Return a document's rows of ``chunks`` with its edits, or None if they have them already.

    Texts whose vectors depend on what changed are embedded again.
    """
    count = chunks.num_rows
    titles, texts, own_texts = (chunks[name].to_pylist() for name in ("title", "text", "own_text"))
    modalities = chunks["modality"].to_pylist()
    pairs = list(zip(texts, own_texts, strict=True))
    if takes_caption(row.media_type):
        caption = edited_caption(row.edits)
        pairs = [
            pair if modality == "text" else _captioned(*pair, caption)
            for modality, pair in zip(modalities, pairs, strict=True)
        ]
    changed = [
        place
        for place, modality in enumerate(modalities)
        if pairs[place][0] != texts[place] or (modality == "text" and titles[place] != row.title)
    ]
    metadata = [metadata_to_json(row.metadata)] * count
    same_title = titles == [row.title] * count
    if not changed and same_title and metadata == chunks["metadata"].to_pylist():
        return None
    texts = [text for text, _ in pairs]
    fields = (chunks["label"].to_pylist(), texts, chunks["inner_text"].to_pylist())
    indexed = [
        full_text(row.title, (row.uri, *row.names), *each) for each in zip(*fields, strict=True)
    ]
    values: dict[str, list[Any]] = {
        "metadata": metadata,
        "title": [row.title] * count,
        "text": texts,
        "own_text": [own for _, own in pairs],
        WORDS_COLUMN: [exact for exact, _ in indexed],
        TERMS_COLUMN: [terms for _, terms in indexed],
    }
    for key, kind in metadata_columns(chunks.schema).items():
        values[metadata_column(key)] = [fit_value(row.metadata.get(key), kind)] * count
    for name, column in values.items():
        chunks = _replaced(chunks, name, pa.array(column, chunks.schema.field(name).type))
    if not changed:
        return chunks
    assert embed is not None, "a writer without `embed` edits metadata only"
    heads = chunks["head"].to_pylist()
    whole = {
        place: passage_text(row.title, heads[place] or "", texts[place])
        if modalities[place] == "text"
        else texts[place]
        for place in changed
    }
    wanted = [place for place in changed if whole[place]]
    vectors: dict[int, TextVectors] = {place: {} for place in changed}
    vectors |= zip(wanted, embed([whole[place] for place in wanted]), strict=True)
    return _with_vectors(chunks, vectors)


def _captioned(text: str, own: str | None, caption: str | None) -> tuple[str, str | None]:
    """Return a caption, and the file's if it is another one: the columns `text` and `own_text`."""
    original = text if own is None else own
    return (original, None) if caption is None else (caption, original)


def remembering(embed: EmbedTexts | None) -> EmbedTexts | None:
    """Return `embed` with a memory of what it embedded."""
    if embed is None:
        return None
    known: dict[tuple[str, ...], Sequence[TextVectors]] = {}

    def remembered(texts: Sequence[str]) -> Sequence[TextVectors]:
        if tuple(texts) not in known:
            known[tuple(texts)] = embed(texts)
        return known[tuple(texts)]

    return remembered


def _with_vectors(chunks: pa.Table, vectors: Mapping[int, TextVectors]) -> pa.Table:
    """Replace the text vectors of some rows, by place."""
    by_column = {
        place: {vector_column(source): vector for source, vector in found.items()}
        for place, found in vectors.items()
    }
    for name in filter(is_text_vector, chunks.schema.names):
        kept: list[Any] = [None] * chunks.num_rows
        places = np.flatnonzero(chunks[name].is_valid().to_numpy()).tolist()
        for place, vector in zip(places, vectors_of(chunks, name)[1], strict=True):
            kept[place] = vector
        for place, found in by_column.items():
            kept[place] = found.get(name)
        chunks = _replaced(chunks, name, vector_array(kept, chunks.schema, name))
    return chunks


def _replaced(chunks: pa.Table, name: str, column: pa.Array) -> pa.Table:
    field = chunks.schema.field(name)
    return chunks.set_column(chunks.schema.get_field_index(name), field, column)
