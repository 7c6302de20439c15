"""Looking up the chunks of one version: their columns, vectors and values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trawl.store.rows import STORED_COLUMNS, row_ids, stored_chunk, vectors_of
from trawl.store.schema import may_have, one_of, quoted, row_is_one_of, vector_column
from trawl.types import Modality, Space, StoredChunk, Value, Vectors

_BATCH = 4_096
_MAX_COUNTED = 64
_NAME = "S34"  # a chunk id: 24 digits, a colon, and at most 9 digits


@dataclass(frozen=True, slots=True)
class Sample:
    """Vectors of a source, float32 [M, D], and the documents that they are from.

    `documents` is int64 [M]; equal numbers mean the same document.
    """

    vectors: Vectors
    documents: NDArray[np.int64]


class Lookups:
    """The look-ups of a `Snapshot`, which sets the attributes."""

    _dataset: lance.LanceDataset
    _sources: Mapping[str, Space]

    @cached_property
    def names(self) -> tuple[NDArray[np.int64], NDArray[np.bytes_]]:
        """The row ids, int64 [N], and the chunk ids, bytes [N], of all chunks."""
        table = self._dataset.to_table(columns=["chunk_id"], with_row_id=True)
        return row_ids(table), _bytes(table["chunk_id"])

    def batches(
        self, source: str, modality: Modality
    ) -> Iterator[tuple[NDArray[np.bytes_], Vectors]]:
        """Yield the chunk ids, bytes [N], and vectors, float32 [N, D], of chunks of a modality."""
        column = vector_column(source)
        scanner = self._dataset.scanner(
            columns=["chunk_id", column], filter=f"modality = {quoted(modality)}",
            batch_size=_BATCH, batch_readahead=1, fragment_readahead=1, scan_in_order=True,
        )  # fmt: skip
        for batch in scanner.to_batches():
            table = pa.Table.from_batches([batch])
            having, vectors = vectors_of(table, column)
            if len(vectors):
                yield _bytes(having["chunk_id"]), vectors

    def sample(self, source: str, size: int) -> Sample:
        """Return up to `size` random vectors of a source; the same ones on every call."""
        # Nulls are dropped afterwards, since finding them first would read every vector.
        rows = self._draw(may_have(source), size)
        column = vector_column(source)
        dimension = self._sources[source].dimension
        if not rows:
            return Sample(np.zeros((0, dimension), np.float32), np.zeros(0, np.int64))
        table = self._dataset.to_table(columns=[column, "document_id"], filter=row_is_one_of(rows))
        having, vectors = vectors_of(table, column)
        return Sample(vectors, _numbers(having))

    def sample_texts(self, size: int) -> tuple[list[str], NDArray[np.int64]]:
        """Return up to `size` random passages and captions, and their documents."""
        table = self._dataset.to_table(
            columns=["text", "document_id"], filter=row_is_one_of(self._draw("text <> ''", size))
        )
        return table["text"].to_pylist(), _numbers(table)

    def _draw(self, having: str, size: int) -> list[int]:
        table = self._dataset.to_table(columns=[], filter=having, with_row_id=True)
        chosen = np.sort(row_ids(table))
        if len(chosen) > size:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, size, replace=False))
        return [int(row) for row in chosen]

    def matching(
        self,
        where: str | None,
        columns: Sequence[str],
        within: NDArray[np.int64] | None = None,
    ) -> pa.Table:
        """Return some columns of the chunks that match a filter, with their row ids."""
        table = self._dataset.to_table(columns=list(columns), filter=where, with_row_id=True)
        return table if within is None else table.filter(np.isin(row_ids(table), within))

    def document_ids(self, where: str) -> pa.Array:
        """Return the ids of the documents with a chunk that matches the filter."""
        table = self._dataset.to_table(columns=["document_id"], filter=where)
        return table["document_id"].unique()

    def by_document(self, column: str) -> pa.Table:
        """Return the value of a column for each document: `document_id` and `value`.

        A document has one row, but in the column `modality` one for each chunk, last first.
        """
        names = list(dict.fromkeys(["document_id", column]))
        read = self._dataset.to_table(columns=names, filter=_one_row(column), scan_in_order=True)
        table = pa.table({"document_id": read["document_id"], "value": read[column]})
        return table if _one_row(column) else table[::-1]

    def values(self, column: str, where: str | None) -> list[tuple[Value, int]]:
        """Count the documents by value of a column, most frequent first.

        A list counts for each of its items; documents without a value are not counted. The
        counts of the last columns and filters are kept.
        """
        kept = self._values.get((column, where))
        if kept is None:
            kept = self._count_values(column, where or _one_row(column))
            if len(self._values) >= _MAX_COUNTED:
                self._values.clear()
            self._values[column, where] = kept
        return list(kept)

    @cached_property
    def _values(self) -> dict[tuple[str, str | None], list[tuple[Value, int]]]:
        return {}

    def _count_values(self, column: str, where: str | None) -> list[tuple[Value, int]]:
        names = list(dict.fromkeys(["document_id", column]))
        read = self._dataset.to_table(columns=names, filter=where)
        table = pa.table({"document": read["document_id"], "value": read[column]})
        if pa.types.is_list(table["value"].type):
            flat = [
                pa.table({"document": batch["document"].take(parents), "value": values})
                for batch in table.to_batches()
                for parents in [pc.list_parent_indices(batch["value"])]
                for values in [pc.list_flatten(batch["value"])]
            ]
            if not flat:
                return []
            table = pa.concat_tables(flat)
        pairs = table.filter(pc.is_valid(table["value"])).group_by(["document", "value"])
        counts = pairs.aggregate([]).group_by("value").aggregate([("document", "count")])
        found = zip(counts["value"].to_pylist(), counts["document_count"].to_pylist(), strict=True)
        return sorted(found, key=lambda pair: (-pair[1], str(pair[0])))

    def fields(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Return some columns of the chunks at some row ids, by row id."""
        if not rows:
            return {}
        table = self._dataset.to_table(
            columns=list(columns), filter=row_is_one_of(rows), with_row_id=True
        )
        return {row.pop("_rowid"): row for row in table.to_pylist()}

    def rows_of(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the row ids of passages by chunk id; other chunks are left out."""
        where = f"{one_of('chunk_id', chunk_ids)} AND modality = 'text'"
        table = self._dataset.to_table(columns=["chunk_id"], filter=where, with_row_id=True)
        return dict(zip(table["chunk_id"].to_pylist(), row_ids(table).tolist(), strict=True))

    def vectors(self, source: str, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors [D] of a source by row id, for the rows that have one."""
        if not rows:
            return {}
        column = vector_column(source)
        table = self._dataset.to_table(
            columns=[column], filter=row_is_one_of(rows), with_row_id=True
        )
        having, vectors = vectors_of(table, column)
        return dict(zip(row_ids(having).tolist(), vectors, strict=True))

    def vector(self, source: str, chunk_id: str) -> NDArray[np.float32] | None:
        """Return a chunk's vector [D] of a source, or None."""
        column = vector_column(source)
        table = self._dataset.to_table(columns=[column], filter=f"chunk_id = {quoted(chunk_id)}")
        _, vectors = vectors_of(table, column)
        return vectors[0] if len(vectors) else None

    def chunks(self, document_id: str) -> list[StoredChunk]:
        """Return the chunks of a document, in order."""
        table = self._dataset.to_table(
            columns=[*STORED_COLUMNS, "ordinal"], filter=f"document_id = {quoted(document_id)}"
        )
        rows = sorted(table.to_pylist(), key=lambda row: int(row["ordinal"]))
        return [stored_chunk(row) for row in rows]

    def chunks_of(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """Return chunks by id, in the given order; those that are not here are left out."""
        if not chunk_ids:
            return []
        table = self._dataset.to_table(columns=STORED_COLUMNS, filter=one_of("chunk_id", chunk_ids))
        found = {row["chunk_id"]: stored_chunk(row) for row in table.to_pylist()}
        return [found[one] for one in chunk_ids if one in found]

    def chunk(self, chunk_id: str) -> StoredChunk | None:
        """Return one chunk, or None."""
        return next(iter(self.chunks_of([chunk_id])), None)


def _one_row(column: str) -> str | None:
    """Return the condition for one row of each document; None if its chunks may differ."""
    return None if column == "modality" else "ordinal = 0"


def _bytes(column: pa.ChunkedArray) -> NDArray[np.bytes_]:
    return np.array(column.to_pylist(), _NAME) if len(column) else np.zeros(0, _NAME)


def _numbers(table: pa.Table) -> NDArray[np.int64]:
    """Return a number for each row's document, the same in every sample and process."""
    digests = (
        hashlib.blake2b(document_id.encode(), digest_size=8).digest()
        for document_id in table["document_id"].to_pylist()
    )
    return np.array([int.from_bytes(digest, "big", signed=True) for digest in digests], np.int64)
