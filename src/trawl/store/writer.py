"""The writer, and the lock that makes it the only one.

The order of the commits makes a killed writer harmless. Adding commits media, then
chunks, then documents, so a document's row means that all its chunks are stored. Removing
commits in the reverse order. A killed writer can only leave chunks and thumbnails that
belong to no document, and the next writer deletes them when it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import lance
import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout

from trawl.errors import LibraryLockedError
from trawl.store.maintenance import keep_up, maintain
from trawl.store.rows import (
    DocumentRow,
    chunk_rows,
    document_rows,
    document_table,
    edited,
    fit_metadata,
    media_rows,
    metadata_to_json,
    with_metadata,
)
from trawl.store.schema import DOCUMENTS, metadata_columns, metadata_fields, one_of
from trawl.types import Chunk, ColumnType, Document, Edits

_IDS_PER_DELETE = 500


class WriteLock:
    """The lock of a library's writer, on a local disk; the system releases a killed process's.

    Raises `LibraryLockedError` if another process holds it for longer than `wait_s`. Once
    the lock is held, `unfinished` is true if the last writer was killed or failed, and the
    library needs recovery.
    """

    def __init__(self, directory: Path, wait_s: float = 10.0) -> None:
        self._lock = FileLock(directory / ".lock", timeout=wait_s)
        self._marker = directory / ".writing"
        self._wait_s = wait_s
        self.unfinished = False

    def __enter__(self) -> WriteLock:
        try:
            self._lock.acquire()
        except Timeout:
            raise LibraryLockedError(
                f"another process is writing to the library at {self._marker.parent}; "
                f"it did not finish within {self._wait_s:g} s, so try again later"
            ) from None
        self.unfinished = self._marker.exists()
        self._marker.touch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # An interrupted writer may leave half of a batch, like a killed one.
            if kind is None:
                self._marker.unlink(missing_ok=True)
        finally:
            self._lock.release()


class Writer:
    """The writer of a library, valid while its lock is held.

    `known` maps document ids to rows. `columns` has the metadata columns that exist and
    those that the next commit adds. With `recover`, chunks without a document are deleted
    and unfinished edits applied.
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
        """Store documents with all their chunks, and record failed ones.

        A document that exists is replaced: one commit removes its old chunks and adds the
        new ones. A failed document whose row has 0 chunks loses its earlier chunks.
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
        """Change metadata of a document and, in one commit, of all its chunks.

        The document's row is written first; if the writer is killed before it writes the
        chunks, the next writer does. Raises `MetadataError` for a value that fits no column.
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
        """Remove documents with all their chunks. Commits nothing for an empty list."""
        for batch in _batches(document_ids):
            self._documents.delete(one_of("document_id", batch))
        self._delete_chunks(document_ids)
        for document_id in document_ids:
            self.known.pop(document_id, None)

    def maintain(self) -> None:
        """Compact and index the tables. Cheap if there is nothing to do."""
        maintain(self._chunks, self._documents, self._media)

    def _has_chunks(self, document_id: str) -> bool:
        row = self.known.get(document_id)
        return row is not None and row.chunks > 0

    def _add_columns(self) -> None:
        existing = metadata_columns(self._chunks.schema)
        new: Mapping[str, ColumnType] = {
            key: kind for key, kind in self.columns.items() if key not in existing
        }
        if new:
            self._chunks.add_columns(metadata_fields(new))

    def _delete_chunks(self, document_ids: Sequence[str]) -> None:
        for batch in _batches(document_ids):
            self._chunks.delete(one_of("document_id", batch))
            self._media.delete(one_of("document_id", batch))

    def _clear_orphans(self) -> None:
        owned = np.array([key for key, row in self.known.items() if row.chunks > 0], dtype=str)
        for table in (self._chunks, self._media):
            ids = table.to_table(columns=["document_id"])["document_id"].unique()
            present = np.array(ids.to_pylist(), dtype=str)
            for batch in _batches(np.setdiff1d(present, owned).tolist()):
                table.delete(one_of("document_id", batch))


def _upsert(dataset: lance.LanceDataset, table: object, key: str, replaced: Sequence[str]) -> None:
    """Insert rows, or replace those with the same key, in one commit.

    Rows of the `replaced` documents without a successor are deleted in the same commit.
    That scans the table, so it is done only if `replaced` is not empty.
    """
    merge = dataset.merge_insert(key).when_matched_update_all().when_not_matched_insert_all()
    if replaced:
        merge = merge.when_not_matched_by_source_delete(one_of("document_id", replaced))
    elif not getattr(table, "num_rows", 1):
        return
    merge.execute(table)


def _batches(document_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(document_ids), _IDS_PER_DELETE):
        yield document_ids[start : start + _IDS_PER_DELETE]
