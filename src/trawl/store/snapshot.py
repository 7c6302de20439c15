"""Reading: one version of a library's chunks, searched and looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from lance.query import BooleanQuery, FullTextQuery, MatchQuery, Occur, PhraseQuery
from numpy.typing import NDArray

from trawl.store.rows import metadata_from_json, span_from_row
from trawl.store.schema import BUILT_IN_COLUMNS, metadata_columns, vector_column
from trawl.store.sql import quoted
from trawl.types import (
    MODALITIES,
    ColumnType,
    Metadata,
    Modality,
    Ranking,
    Space,
    Span,
    Vectors,
)

BM25 = "bm25"
"""The name of the source that finds by words."""

_HYDRATED = [
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
]

_WORDS = "words"
"""The column that the full-text index is on."""

# Enough for a recall of 0.99 and more on the vectors measured (docs/benchmarks.md).
_NPROBES = 32
_REFINE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it is shown: everything but its vectors."""

    chunk_id: str
    document_id: str
    uri: str
    title: str
    modality: Modality
    media_type: str
    text: str
    detail: str
    span: Span
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Words:
    """What is asked of the full-text index.

    `text` is any words, each of which counts; `phrases` count as a whole; `fuzzy` are
    words with how many letters may differ. All are optional: together they make a score.
    """

    text: str = ""
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()

    def as_query(self) -> FullTextQuery | None:
        """Give the engine's query; None where nothing is asked."""
        parts: list[FullTextQuery] = []
        if self.text.strip():
            parts.append(MatchQuery(self.text, _WORDS))
        parts += [PhraseQuery(phrase, _WORDS) for phrase in self.phrases]
        parts += [MatchQuery(word, _WORDS, fuzziness=letters) for word, letters in self.fuzzy]
        if len(parts) <= 1:
            return parts[0] if parts else None
        return BooleanQuery([(Occur.SHOULD, part) for part in parts])


@dataclass(frozen=True, slots=True)
class Sample:
    """Vectors of a source, float32 [M, D], and which of them are of one document.

    `documents` is int64 [M]: equal numbers, equal documents.
    """

    vectors: Vectors
    documents: NDArray[np.int64]


class Snapshot:
    """One version of the chunks. Safe to read from several threads.

    Row ids are those of this version: give them back to the snapshot that they came from.
    """

    def __init__(self, dataset: lance.LanceDataset, sources: Mapping[str, Space]) -> None:
        self._dataset = dataset
        self._sources = sources

    @property
    def version(self) -> int:
        """The version of the chunks' table."""
        return int(self._dataset.version)

    def latest_version(self) -> int:
        """The newest version that there is, read from the table's directory."""
        return int(self._dataset.latest_version)

    @cached_property
    def columns(self) -> dict[str, ColumnType]:
        """What can be filtered by: built-in columns and metadata keys, with their types."""
        return {**metadata_columns(self._dataset.schema), **BUILT_IN_COLUMNS}

    @cached_property
    def counts(self) -> dict[Modality, int]:
        """How many chunks there are of each modality."""
        return {
            modality: self._dataset.count_rows(filter=f"modality = '{modality}'")
            for modality in MODALITIES
        }

    @cached_property
    def _captioned(self) -> int:
        return int(self._dataset.count_rows(filter="modality <> 'text' and text <> ''"))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that the library has vectors for."""
        return tuple(self._sources)

    def size(self, source: str) -> int:
        """How many chunks a source can choose from: those that have its vector, or words."""
        if source == BM25:
            return sum(self.counts.values())
        modality = source.rpartition(".")[2]
        if modality == "text":
            return self.counts["text"] + self._captioned
        return self.counts.get(modality, 0)  # type: ignore[call-overload, no-any-return]

    def nearest(
        self, source: str, query: NDArray[np.float32], limit: int, where: str | None
    ) -> Ranking:
        """Give the `limit` chunks whose vectors are nearest to `query` [D], after the filter.

        An index looks at some partitions alone, and a narrow filter may leave them empty:
        a filtered answer that comes short is asked again without the index.
        """
        found = self._nearest(source, query, limit, where, use_index=True)
        if where is not None and len(found.rows) < limit and self._has_index(source):
            found = self._nearest(source, query, limit, where, use_index=False)
        return found

    def _nearest(
        self,
        source: str,
        query: NDArray[np.float32],
        limit: int,
        where: str | None,
        use_index: bool,
    ) -> Ranking:
        nearest: dict[str, Any] = {
            "column": vector_column(source),
            "q": query,
            "k": limit,
            "metric": self._sources[source].metric,
            "use_index": use_index,
        }
        if use_index and self._has_index(source):
            nearest |= {"nprobes": _NPROBES, "refine_factor": _REFINE_FACTOR}
        table = self._dataset.to_table(
            columns=["_distance"],
            nearest=nearest,
            filter=where,
            prefilter=where is not None,
            with_row_id=True,
        )
        # Lance's cosine distance is 1 - cosine.
        return Ranking(
            source=source,
            rows=table["_rowid"].to_numpy().astype(np.int64),
            similarities=(1 - table["_distance"].to_numpy()).astype(np.float32),
            searched=self.size(source),
        )

    @cached_property
    def _indexed(self) -> frozenset[str]:
        return frozenset(
            name for index in self._dataset.describe_indices() for name in index.field_names
        )

    def _has_index(self, source: str) -> bool:
        return vector_column(source) in self._indexed

    def words(self, words: Words, limit: int, where: str | None) -> Ranking:
        """Give the `limit` chunks with the highest BM25 score for `words`."""
        query = words.as_query()
        if query is None:
            empty = np.zeros(0, np.int64)
            return Ranking(BM25, empty, empty.astype(np.float32), self.size(BM25))
        table = self._dataset.to_table(
            columns=["_score"],
            full_text_query=query,
            limit=limit,
            filter=where,
            prefilter=where is not None,
            with_row_id=True,
        )
        scores = table["_score"].to_numpy().astype(np.float32)
        rows = table["_rowid"].to_numpy().astype(np.int64)
        order = np.lexsort((rows, -scores))[:limit]
        return Ranking(BM25, rows[order], scores[order], self.size(BM25))

    def holding(self, phrase: str) -> NDArray[np.int64]:
        """Give the row ids, in their order, of the chunks that hold a word or a phrase."""
        table = self._dataset.to_table(
            columns=["_score"],
            full_text_query=PhraseQuery(phrase, _WORDS),
            limit=self.size(BM25),
            with_row_id=True,
        )
        return np.sort(table["_rowid"].to_numpy().astype(np.int64))

    def sample(self, source: str, size: int) -> Sample:
        """Give up to `size` of a source's vectors, drawn at random; the draw is repeatable."""
        modality = source.rpartition(".")[2]
        # Nulls are dropped afterwards: finding them first means reading every vector.
        having = f"modality = '{modality}'"
        if modality == "text":
            having += " OR text <> ''"
        return self._sample_at(source, self._draw(having, size))

    def sample_texts(self, size: int) -> tuple[list[str], NDArray[np.int64]]:
        """Give up to `size` passages and captions, drawn at random, and their documents."""
        table = self._dataset.to_table(
            columns=["text", "document_id"], filter=_row_filter(self._draw("text <> ''", size))
        )
        return table["text"].to_pylist(), _numbers(table)

    def _draw(self, having: str, size: int) -> list[int]:
        ids = self._dataset.to_table(columns=[], filter=having, with_row_id=True)["_rowid"]
        chosen = np.sort(ids.to_numpy())
        if len(chosen) > size:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, size, replace=False))
        return [int(row) for row in chosen]

    def _sample_at(self, source: str, rows: Sequence[int]) -> Sample:
        column = vector_column(source)
        dimension = self._sources[source].dimension
        if not rows:
            return Sample(np.zeros((0, dimension), np.float32), np.zeros(0, np.int64))
        table = self._dataset.to_table(columns=[column, "document_id"], filter=_row_filter(rows))
        table = table.filter(table[column].is_valid())
        vectors = np.asarray(table[column].combine_chunks().flatten(), np.float32)
        return Sample(vectors.reshape(-1, dimension), _numbers(table))

    def take(self, rows: Sequence[int]) -> list[StoredChunk]:
        """Give the chunks at some row ids, in their order."""
        if not rows:
            return []
        table = self._dataset.to_table(
            columns=_HYDRATED, filter=_row_filter(rows), with_row_id=True
        )
        found = {row["_rowid"]: _stored(row) for row in table.to_pylist()}
        return [found[row] for row in rows]

    def fields(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Give some columns of the chunks at some row ids, by row id."""
        if not rows:
            return {}
        table = self._dataset.to_table(
            columns=list(columns), filter=_row_filter(rows), with_row_id=True
        )
        return {row.pop("_rowid"): row for row in table.to_pylist()}

    def vectors(self, source: str, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Give the vectors [D] of the chunks at some row ids that have one of the source."""
        column = vector_column(source)
        return {
            row: np.asarray(found[column], np.float32)
            for row, found in self.fields(rows, [column]).items()
            if found[column] is not None
        }

    def vector(self, source: str, chunk_id: str) -> NDArray[np.float32] | None:
        """Give a chunk's vector [D] of a source, or None where it has none of it."""
        column = vector_column(source)
        table = self._dataset.to_table(columns=[column], filter=f"chunk_id = {quoted(chunk_id)}")
        found = table[column].to_pylist()
        return np.asarray(found[0], np.float32) if found and found[0] is not None else None

    def chunks(self, document_id: str) -> list[StoredChunk]:
        """Give the chunks of a document, in their order."""
        table = self._dataset.to_table(
            columns=[*_HYDRATED, "ordinal"], filter=f"document_id = {quoted(document_id)}"
        )
        rows = sorted(table.to_pylist(), key=lambda row: int(row["ordinal"]))
        return [_stored(row) for row in rows]

    def chunk(self, chunk_id: str) -> StoredChunk | None:
        """Give one chunk, or None."""
        table = self._dataset.to_table(columns=_HYDRATED, filter=f"chunk_id = {quoted(chunk_id)}")
        return next((_stored(row) for row in table.to_pylist()), None)


def _numbers(table: pa.Table) -> NDArray[np.int64]:
    """Give a number for each row's document, the same in every sample and process."""
    digests = (
        hashlib.blake2b(document_id.encode(), digest_size=8).digest()
        for document_id in table["document_id"].to_pylist()
    )
    return np.array([int.from_bytes(digest, "big", signed=True) for digest in digests], np.int64)


def _row_filter(rows: Iterable[int]) -> str:
    listed = ", ".join(str(int(row)) for row in rows)
    return f"_rowid IN ({listed})" if listed else "1 = 0"


def _stored(row: dict[str, Any]) -> StoredChunk:
    fields = {name: row[name] for name in _HYDRATED}
    fields["span"] = span_from_row(fields["span"])
    fields["metadata"] = metadata_from_json(fields["metadata"])
    return StoredChunk(**fields)
