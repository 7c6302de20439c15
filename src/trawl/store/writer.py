"""Writing: batches of documents, each batch one commit to the chunks.

The order of the commits is what makes a killed writer harmless. Adding goes media,
chunks, documents: a document's row says that its chunks are all there. Removing goes
the other way. What a killed writer leaves are chunks and thumbnails that no document
owns, and the next writer clears them before it begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import lance
import numpy as np
import pyarrow as pa

from trawl.store.documents import DocumentRow, document_rows, document_table
from trawl.store.maintenance import keep_up, maintain
from trawl.store.rows import (
    chunk_rows,
    edited,
    fit_metadata,
    media_rows,
    metadata_to_json,
    with_metadata,
)
from trawl.store.schema import DOCUMENTS, metadata_columns, metadata_fields
from trawl.store.sql import one_of
from trawl.types import Chunk, ColumnType, Document, Edits

_IDS_A_DELETE = 500


class Writer:
    """The one writer of a library, for as long as its lock is held.

    `known` is every document's row by id; `columns` the metadata columns there are,
    and those that the next commit makes.
    """

    def __init__(
        self,
        *,
        chunks: lance.LanceDataset,
        documents: lance.LanceDataset,
        media: lance.LanceDataset,
        recover: bool,
    ) -> None:
        self._chunks = chunks
        self._documents = documents
        self._media = media
        self.known = {row.document_id: row for row in document_rows(documents.to_table())}
        self.columns: dict[str, ColumnType] = metadata_columns(chunks.schema)
        newer = [field for field in DOCUMENTS if field.name not in documents.schema.names]
        if newer:
            documents.add_columns(pa.schema(newer))
        if recover:
            self._clear_orphans()
            for row in self.known.values():
                if row.edits and row.chunks > 0:
                    self._set_metadata(row)

    def commit(
        self,
        documents: Sequence[tuple[Document, Sequence[Chunk]]],
        failed: Sequence[DocumentRow] = (),
    ) -> None:
        """Put documents in, with all their chunks, and note those that failed.

        A document that is in already is replaced: its old chunks go in the same commit
        that brings the new ones. A failed one whose row says 0 chunks loses those it had.
        """
        rows = [
            self._keeping_edits(DocumentRow.of(document, len(chunks)))
            for document, chunks in documents
        ]
        replaced = [row.document_id for row in rows if self._has_chunks(row.document_id)]
        dropped = [
            row.document_id
            for row in failed
            if row.chunks == 0 and self._has_chunks(row.document_id)
        ]
        if documents:
            self._add_columns()
            media = media_rows(chunk for _, chunks in documents for chunk in chunks)
            _upsert(self._media, media, "chunk_id", replaced)
            table = chunk_rows(documents, self._chunks.schema)
            _upsert(self._chunks, table, "chunk_id", replaced)
            keep_up(self._chunks)
        self._delete_chunks(dropped)
        rows += map(self._keeping_edits, failed)
        if rows:
            _upsert(self._documents, document_table(rows), "document_id", ())
            self.known.update({row.document_id: row for row in rows})

    def edit(self, document_id: str, edits: Edits) -> DocumentRow:
        """Change metadata of a document, and of all its chunks in one commit.

        The document's row comes first: where a writer is killed before the chunks follow,
        the next one makes them. Raises `MetadataError` for a value that fits no column.
        """
        row = self.known[document_id]
        fitted = fit_metadata(edited({}, edits), self.columns)
        edits = {key: fitted.get(key) for key in edits}
        new = replace(row, metadata=edited(row.metadata, edits), edits={**row.edits, **edits})
        _upsert(self._documents, document_table([new]), "document_id", ())
        self.known[document_id] = new
        self._set_metadata(new)
        return new

    def _set_metadata(self, row: DocumentRow) -> None:
        self._add_columns()
        chunks = self._chunks.to_table(filter=one_of("document_id", [row.document_id]))
        if set(chunks["metadata"].to_pylist()) == {metadata_to_json(row.metadata)}:
            return
        _upsert(self._chunks, with_metadata(chunks, row.metadata), "chunk_id", ())
        keep_up(self._chunks)

    def _keeping_edits(self, row: DocumentRow) -> DocumentRow:
        known = self.known.get(row.document_id)
        return row if known is None or not known.edits else replace(row, edits=known.edits)

    def remove(self, document_ids: Sequence[str]) -> None:
        """Take documents out, with all their chunks. Of none, nothing is committed."""
        for some in _slices(document_ids):
            self._documents.delete(one_of("document_id", some))
        self._delete_chunks(document_ids)
        for document_id in document_ids:
            self.known.pop(document_id, None)

    def maintain(self) -> None:
        """Compact and index what has grown. Cheap where there is nothing to do."""
        maintain(self._chunks, self._documents, self._media)

    def _has_chunks(self, document_id: str) -> bool:
        row = self.known.get(document_id)
        return row is not None and row.chunks > 0

    def _add_columns(self) -> None:
        there = metadata_columns(self._chunks.schema)
        new: Mapping[str, ColumnType] = {
            key: kind for key, kind in self.columns.items() if key not in there
        }
        if new:
            self._chunks.add_columns(metadata_fields(new))

    def _delete_chunks(self, document_ids: Sequence[str]) -> None:
        for some in _slices(document_ids):
            self._chunks.delete(one_of("document_id", some))
            self._media.delete(one_of("document_id", some))

    def _clear_orphans(self) -> None:
        owned = np.array([key for key, row in self.known.items() if row.chunks > 0], dtype=str)
        for table in (self._chunks, self._media):
            ids = table.to_table(columns=["document_id"])["document_id"].unique()
            there = np.array(ids.to_pylist(), dtype=str)
            for some in _slices(np.setdiff1d(there, owned).tolist()):
                table.delete(one_of("document_id", some))


def _upsert(dataset: lance.LanceDataset, table: object, key: str, replaced: Sequence[str]) -> None:
    """Insert rows or put them in the place of those with their key, in one commit.

    Rows of the `replaced` documents that have no successor vanish in the same commit.
    That costs a scan of the table, so it is asked for only where it is needed.
    """
    merge = dataset.merge_insert(key).when_matched_update_all().when_not_matched_insert_all()
    if replaced:
        merge = merge.when_not_matched_by_source_delete(one_of("document_id", replaced))
    elif not getattr(table, "num_rows", 1):
        return
    merge.execute(table)


def _slices(document_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(document_ids), _IDS_A_DELETE):
        yield document_ids[start : start + _IDS_A_DELETE]
