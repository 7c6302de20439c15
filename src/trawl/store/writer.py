"""The writer of a library, which holds the lock that makes it the only one.

The order of the commits makes a killed writer harmless. Adding commits media, then
chunks, then documents, so a document's row means that all its chunks are stored. Removing
commits in the reverse order. A killed writer can only leave chunks and thumbnails that
belong to no document, and the next writer deletes them when it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import lance
import numpy as np
import pyarrow as pa

from trawl.errors import MetadataError
from trawl.store.columns import ColumnTypes, column_type, fit_value
from trawl.store.edits import (
    CAPTION,
    EmbedTexts,
    applied,
    edited_document,
    edited_row,
    remembering,
    takes_caption,
)
from trawl.store.known import Known
from trawl.store.locking import WriteLock
from trawl.store.maintenance import keep_up, maintain
from trawl.store.renamed import renamed_chunks, renamed_media
from trawl.store.rows import (
    DocumentRow,
    chunk_rows,
    document_table,
    media_rows,
    metadata_from_json,
)
from trawl.store.schema import (
    DOCUMENTS,
    is_leftover,
    metadata_column,
    metadata_columns,
    metadata_fields,
    one_of,
    replaced_column,
    rewritten_column,
)
from trawl.types import Chunk, ColumnType, Document, Edits

_IDS_PER_DELETE = 500


class Writer:
    """The writer of a library, valid while its lock is held.

    `known` looks up rows by document id. Metadata columns are added and widened as the
    documents need it, and narrowed or dropped by `maintain`. After a writer that did not finish,
    chunks without a document are deleted and unfinished edits applied. `embed` embeds the texts
    that an edit of a title or caption changes.
    """

    def __init__(
        self,
        *,
        chunks: lance.LanceDataset,
        documents: lance.LanceDataset,
        media: lance.LanceDataset,
        lock: WriteLock,
        embed: EmbedTexts | None = None,
    ) -> None:
        self._lock = lock
        self._chunks = chunks
        self._documents = documents
        self._media = media
        self._embed = embed
        newer = [field for field in DOCUMENTS if field.name not in documents.schema.names]
        if newer:
            documents.add_columns(pa.schema(newer))
        self.known = Known(documents)
        # The keys whose columns may be wider than the values that are left.
        self._unsettled: set[str] = set()
        if lock.unfinished:
            self._drop([name for name in chunks.schema.names if is_leftover(name)])
            self._clear_orphans()
            for row in self.known.version().where("edits IS NOT NULL AND chunks > 0"):
                self._apply_edits(row)
            self._unsettled.update(metadata_columns(chunks.schema))

    def prints(self) -> dict[str, list[bytes]]:
        """Return the prints of the chunks of each document (`trawl.likeness`), b"" for none."""
        table = self._chunks.to_table(columns=["document_id", "likeness"])
        found: dict[str, list[bytes]] = {}
        names, prints = table["document_id"].to_pylist(), table["likeness"].to_pylist()
        for document_id, printed in zip(names, prints, strict=True):
            found.setdefault(document_id, []).append(printed or b"")
        return found

    def commit(
        self,
        documents: Sequence[tuple[Document, Sequence[Chunk]]],
        failed: Sequence[DocumentRow] = (),
        renamed: Mapping[str, DocumentRow] | None = None,
        retired: Sequence[str] = (),
    ) -> None:
        """Store documents with all their chunks, and record failed ones.

        A document that exists is replaced: one commit removes its old chunks and adds the
        new ones. A failed document whose row has 0 chunks loses its earlier chunks. `renamed`
        maps ids to new rows, whose ids may differ, and which take over the chunks. The
        documents `retired` end in the commit in which the others begin.
        """
        self._check()
        renamed = renamed or {}
        ids = [*(document.document_id for document, _ in documents), *retired]
        self.known.fetch([*ids, *(row.document_id for row in (*failed, *renamed.values()))])
        rows = [
            edited_row(DocumentRow.of(document, len(chunks)), document.edits)
            for document, chunks in documents
        ]
        documents = [
            (edited_document(document, document.edits), chunks) for document, chunks in documents
        ]
        replaced = [row.document_id for row in rows if self._has_chunks(row.document_id)]
        dropped = [
            row.document_id
            for row in failed
            if row.chunks == 0 and self._has_chunks(row.document_id)
        ]
        rows += map(self._keeping_edits, failed)
        rows += renamed.values()
        self._remember(rows)
        if documents:
            self._widen_columns(rows)
            media = media_rows(chunk for _, chunks in documents for chunk in chunks)
            _upsert(self._media, media, "chunk_id", replaced)
            table = chunk_rows(documents, self._chunks.schema)
            _upsert(self._chunks, table, "chunk_id", replaced)
            keep_up(self._chunks)
        if renamed:
            self._rename(renamed)
        self._delete_chunks(dropped)
        if rows:
            _upsert(self._documents, document_table(rows), "document_id", retired)
        self._delete_chunks(retired)
        self._forget(retired)
        self.known.written()

    def _rename(self, rows: Mapping[str, DocumentRow]) -> None:
        """Write chunks and thumbnails under new ids. Those under the old ids remain for now."""
        for ids in _batches(list(rows)):
            old = one_of("document_id", ids)
            media = renamed_media(self._media.to_table(filter=old), rows)
            _upsert(self._media, media, "chunk_id", ())
            chunks = renamed_chunks(self._chunks.to_table(filter=old), rows)
            _upsert(self._chunks, chunks, "chunk_id", ())
        keep_up(self._chunks)

    def edit(self, document_id: str, edits: Edits) -> DocumentRow:
        """Edit a document and, in one commit, all its chunks.

        The keys `title` and `caption` replace those of the file until they are None; their
        texts are embedded again. The document's row is written first; if the writer is killed
        before it writes the chunks, the next writer does. Raises `MetadataError` for the caption
        of a text, and if a text cannot be embedded.
        """
        self._check()
        row = edited_row(self.known[document_id], edits)
        if edits.get(CAPTION) is not None and not takes_caption(row.media_type):
            raise MetadataError(
                f"{row.uri} is a text, which has no caption; edit its title, or another key"
            )
        embed = remembering(self._embed)
        applied(
            row, self._chunks_of(document_id), embed
        )  # fails, if it does, before anything is written
        self._remember([row])
        _upsert(self._documents, document_table([row]), "document_id", ())
        self.known.written()
        self._apply_edits(row, embed)
        return row

    def _chunks_of(self, document_id: str) -> pa.Table:
        return self._chunks.to_table(filter=one_of("document_id", [document_id]))

    def _apply_edits(self, row: DocumentRow, embed: EmbedTexts | None = None) -> None:
        self._widen_columns([row])
        chunks = applied(row, self._chunks_of(row.document_id), embed or self._embed)
        if chunks is not None:
            _upsert(self._chunks, chunks, "chunk_id", ())
            keep_up(self._chunks)

    def _keeping_edits(self, row: DocumentRow) -> DocumentRow:
        """Return the row of a failed document with the edits that it had."""
        known = self.known.get(row.document_id)
        if known is None:
            return row
        kept = edited_row(replace(row, given=known.given), known.edits)
        return replace(kept, metadata=row.metadata)

    def remove(self, document_ids: Sequence[str]) -> None:
        """Remove documents with all their chunks. Commits nothing for an empty list."""
        if not document_ids:
            return
        self._check()
        self._forget(document_ids)
        for batch in _batches(document_ids):
            self._documents.delete(one_of("document_id", batch))
        self._delete_chunks(document_ids)
        self.known.written()

    def _forget(self, document_ids: Sequence[str]) -> None:
        for batch in _batches(document_ids):
            self.known.fetch(batch)
            for row in filter(None, map(self.known.get, batch)):
                self._unsettled.update(row.metadata)
        self.known.update(dict.fromkeys(document_ids))

    def maintain(self) -> None:
        """Settle the columns, compact and index the tables. Cheap if there is nothing to do."""
        self._check()
        self._settle_columns()
        maintain(self._chunks, self._documents, self._media, check=self._check)

    def _check(self) -> None:
        """Raise `LeaseLostError` if another writer has taken the lock."""
        self._lock.check((self._chunks, self._documents, self._media))

    def _has_chunks(self, document_id: str) -> bool:
        row = self.known.get(document_id)
        return row is not None and row.chunks > 0

    def _remember(self, rows: Iterable[DocumentRow]) -> None:
        """Take rows into `known`, and note the values that they replace."""
        for row in rows:
            kinds = {key: column_type(key, value) for key, value in row.metadata.items()}
            known = self.known.get(row.document_id)
            replaced = known.metadata if known is not None else {}
            self._unsettled.update(
                key for key, value in replaced.items() if kinds.get(key) != column_type(key, value)
            )
            self.known.update({row.document_id: row})

    def _widen_columns(self, rows: Iterable[DocumentRow]) -> None:
        """Add missing columns, and rewrite those that do not hold the values of some rows."""
        existing = metadata_columns(self._chunks.schema)
        wanted = ColumnTypes((row.metadata for row in rows), existing).columns()
        self._change_columns(existing, wanted)

    def _settle_columns(self) -> None:
        """Rewrite columns whose type a removed document determined; drop those without values.

        Documents are read only until they account for the types.
        """
        columns = metadata_columns(self._chunks.schema)
        existing = {key: kind for key, kind in columns.items() if key in self._unsettled}
        self._unsettled.clear()
        if not existing:
            return
        found = ColumnTypes()
        for metadata in self.known.version().metadata(existing):
            found.add({key: value for key, value in metadata.items() if key in existing})
            if found.columns() == existing:
                return
        self._change_columns(existing, found.columns())
        self._drop([metadata_column(key) for key in existing if key not in found.columns()])

    def _change_columns(
        self, existing: Mapping[str, ColumnType], wanted: Mapping[str, ColumnType]
    ) -> None:
        new = {key: kind for key, kind in wanted.items() if key not in existing}
        if new:
            self._chunks.add_columns(metadata_fields(new))
        changed = {key: kind for key, kind in wanted.items() if existing.get(key, kind) != kind}
        if changed:
            self._rewrite_columns(changed)

    def _rewrite_columns(self, columns: Mapping[str, ColumnType]) -> None:
        """Write columns in other types from the chunks' metadata.

        One commit puts the new columns in the place of the old ones, so that a reader sees
        either.
        """
        fields = [
            field.with_name(rewritten_column(key))
            for key, field in zip(columns, metadata_fields(columns), strict=True)
        ]
        schema = pa.schema(fields)

        def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [metadata_from_json(text) for text in batch["metadata"].to_pylist()]
            arrays = [
                pa.array([fit_value(row.get(key), kind) for row in rows], field.type)
                for (key, kind), field in zip(columns.items(), fields, strict=True)
            ]
            return pa.record_batch(arrays, schema=schema)

        if self._chunks.count_rows():
            transform = lance.batch_udf(output_schema=schema)(convert)
            self._chunks.add_columns(transform, read_columns=["metadata"])
        else:
            self._chunks.add_columns(schema)
        renamed: list[tuple[str, str]] = []
        for key in columns:
            renamed.append((metadata_column(key), replaced_column(key)))
            renamed.append((rewritten_column(key), metadata_column(key)))
        self._chunks.alter_columns(*({"path": old, "name": name} for old, name in renamed))
        self._drop([replaced_column(key) for key in columns])

    def _drop(self, columns: Sequence[str]) -> None:
        if columns:
            self._chunks.drop_columns(list(columns))

    def _delete_chunks(self, document_ids: Sequence[str]) -> None:
        for batch in _batches(document_ids):
            self._chunks.delete(one_of("document_id", batch))
            self._media.delete(one_of("document_id", batch))

    def _clear_orphans(self) -> None:
        owned = np.array(self.known.version().ids("chunks > 0"), dtype=str)
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
