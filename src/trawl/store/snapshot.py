"""One version of a library's chunks, for searches and look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from uuid import uuid4

import lance
import numpy as np
from lance.query import PhraseQuery
from numpy.typing import NDArray

from trawl.errors import QueryError
from trawl.objects import is_object
from trawl.store.copies import Copies, find_copies
from trawl.store.full_text import Words
from trawl.store.lookups import Lookups
from trawl.store.maintenance import bits_key
from trawl.store.postings import Postings
from trawl.store.resident import Counts, Resident
from trawl.store.rows import STORED_COLUMNS, row_ids, stored_chunk
from trawl.store.schema import (
    BUILT_IN_COLUMNS,
    WORDS_COLUMN,
    contains_phrase,
    metadata_columns,
    row_is_one_of,
    vector_column,
)
from trawl.store.sets import nearest_sets
from trawl.types import (
    MODALITIES,
    ColumnType,
    Modality,
    Ranking,
    Space,
    StoredChunk,
)
from trawl.words import phrase_terms

BM25 = "bm25"
"""The name of the full-text source."""

# Recall is at least 0.99 on the measured vectors (docs/benchmarks.md).
_NPROBES = 32
_REFINE_FACTOR = 3

_MAX_FILTERS = 16

# Rows that a filter lists by id. Tens of thousands take seconds to parse; reading the words of
# 100,000 chunks takes a third of one.
_MAX_LISTED = 5_000


class Snapshot(Lookups):
    """One version of the chunks. Safe to use from several threads.

    Row ids are valid only in the snapshot that returned them.
    """

    def __init__(
        self,
        dataset: lance.LanceDataset,
        sources: Mapping[str, Space],
        counts: Counts,
        resident: Resident | None = None,
    ) -> None:
        self._dataset = dataset
        self._sources = sources
        self._counts = counts
        self._resident = resident
        self._allowed: dict[str, NDArray[np.int64]] = {}

    @property
    def version(self) -> int:
        """The version of the chunks' table."""
        return int(self._dataset.version)

    def latest_version(self) -> int:
        """Return the newest version, read from the table's directory."""
        return int(self._dataset.latest_version)

    @cached_property
    def state(self) -> str:
        """An identifier of this version's contents, unique across libraries.

        Version numbers start at 1 in every library, so they are not enough.
        """
        # On its own handle, since this call blocks all others on the same one.
        dataset = self._dataset.checkout_version(self.version)
        try:
            transaction = dataset.read_transaction(self.version)
        except TypeError:  # pylance cannot represent a compaction that rewrites indexes
            transaction = None
        # A version without a transaction gets an identifier that is never reused.
        return f"{self.version}-{transaction.uuid if transaction is not None else uuid4()}"

    @cached_property
    def fragments(self) -> int:
        """The number of fragments; each adds a little to the time of a search."""
        return len(self._dataset.get_fragments())

    @cached_property
    def unindexed_rows(self) -> int:
        """The number of chunks that are not in some index yet; a search scans them."""
        rows = int(self._dataset.count_rows())
        indexed = (int(index.num_rows_indexed) for index in self._dataset.describe_indices())
        return rows - min(indexed, default=rows)

    @cached_property
    def columns(self) -> dict[str, ColumnType]:
        """The columns for filters: built-in columns and metadata keys, with their types."""
        return {**metadata_columns(self._dataset.schema), **BUILT_IN_COLUMNS}

    @cached_property
    def counts(self) -> dict[Modality, int]:
        """The number of chunks of each modality."""
        return {
            modality: self._counts.of(self._dataset, f"modality = '{modality}'")
            for modality in MODALITIES
        }

    @cached_property
    def _captioned(self) -> int:
        return self._counts.of(self._dataset, "modality <> 'text' and text <> ''")

    @cached_property
    def copies(self) -> Copies:
        """The documents whose files have the same content."""
        return find_copies(self._dataset)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of vectors."""
        return tuple(self._sources)

    def size(self, source: str) -> int:
        """Return the number of chunks that have the source's vector, or words for BM25."""
        if source == BM25:
            return sum(self.counts.values())
        modality = source.rpartition(".")[2]
        if modality == "text":
            return self.counts["text"] + self._captioned
        return self.counts.get(modality, 0)  # type: ignore[call-overload, no-any-return]

    def prepare(self) -> None:
        """Compute what is cached for the version, before a search has to wait for it."""
        for source in self._sources:
            self.size(source)
            self._index_type(source)
        _ = self.columns, self.copies

    @property
    def recall(self) -> dict[str, float]:
        """The share of the ten nearest that is found, by source whose vectors are in memory."""
        held = self._resident.vectors if self._resident is not None else {}
        return {source: vectors.recall for source, vectors in held.items()}

    def holds(self, source: str) -> bool:
        """Return whether a source's vectors are in memory, so that `nearest` needs no thread."""
        return self._resident is not None and source in self._resident.vectors

    def holds_words(self, words: Words) -> bool:
        """Return whether the words of a query are in memory, so that `words` needs no thread."""
        return self._held_words is not None and bool(words.plain)

    @property
    def _held_words(self) -> Postings | None:
        return self._resident.words if self._resident is not None else None

    def nearest(
        self,
        source: str,
        query: NDArray[np.float32],
        limit: int,
        where: str | None,
        within: NDArray[np.int64] | None = None,
    ) -> Ranking:
        """Return the `limit` chunks nearest to `query` [D], after the filter.

        `within` are the permitted row ids, ascending; all if None.

        An index searches only some partitions, which a narrow filter may leave empty. If a
        filtered search finds too few chunks, it is repeated without the index.
        """
        held = self._resident.vectors.get(source) if self._resident is not None else None
        if held is not None:
            rows, similarities = held.nearest(query, limit, self._permitted(where, within))
            return Ranking(source, rows, similarities, searched=self.size(source))
        if within is not None:
            if len(within) > _MAX_LISTED:
                found = self._nearest(source, query, self._rows, where, use_index=False)
                return _only(found, within, limit)
            where = _and(where, within)
        found = self._nearest(source, query, limit, where, use_index=True)
        indexed = self._index_type(source) is not None
        if where is not None and len(found.rows) < limit and indexed:
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
        if self._sources[source].parts > 1:
            space, indexed = self._sources[source], self._index_type(source) is not None
            rows, found = nearest_sets(self._dataset, space, query, nearest, where, indexed)
            return Ranking(source, rows, found, searched=self.size(source))
        index = self._index_type(source) if use_index else None
        per_distance = 1.0  # Lance's cosine distance is 1 - cosine
        if index is not None:
            nearest["nprobes"] = _NPROBES
            # Vectors that are not quantised are exact; refining them would take 8 ms.
            quantised = not index.endswith("FLAT")
            if quantised and self._is_approximate(source):
                # The distance of codes is the squared one of unit vectors, 2 - 2 * cosine.
                per_distance = 0.5
            elif quantised:
                nearest["refine_factor"] = _REFINE_FACTOR
        table = self._dataset.to_table(
            columns=["_distance"],
            nearest=nearest,
            filter=where,
            prefilter=where is not None,
            with_row_id=True,
        )
        return Ranking(
            source=source,
            rows=row_ids(table),
            similarities=(1 - per_distance * table["_distance"].to_numpy()).astype(np.float32),
            searched=self.size(source),
        )

    @cached_property
    def _index_types(self) -> dict[str, str]:
        return {
            name: str(index.index_type).upper()
            for index in self._dataset.describe_indices()
            for name in index.field_names
        }

    def _index_type(self, source: str) -> str | None:
        return self._index_types.get(vector_column(source))

    def _is_approximate(self, source: str) -> bool:
        """Return whether similarities are those of the index, since the vectors are far away.

        Refining them would take 200 requests to the object store. Distances of rows that are not
        in the index are of another kind.
        """
        return (
            is_object(self._dataset.uri)
            and bits_key(vector_column(source)) in self._dataset.config()
            and not self.unindexed_rows
        )

    def _permitted(
        self, where: str | None, within: NDArray[np.int64] | None
    ) -> NDArray[np.int64] | None:
        """Return the ids, ascending, of the rows that match a filter and are in `within`."""
        allowed = self._rows_of(where) if where is not None else None
        if within is None:
            return allowed
        return within if allowed is None else np.intersect1d(allowed, within)

    def _rows_of(self, where: str) -> NDArray[np.int64]:
        """Return the ids, ascending, of the rows that match a filter; every source uses them."""
        found = self._allowed.get(where)
        if found is None:
            table = self._dataset.to_table(columns=[], filter=where, with_row_id=True)
            found = np.sort(row_ids(table))
            if len(self._allowed) >= _MAX_FILTERS:
                self._allowed.clear()
            self._allowed[where] = found
        return found

    @property
    def _rows(self) -> int:
        return max(1, int(self._dataset.count_rows()))

    def words(
        self,
        words: Words,
        limit: int,
        where: str | None,
        within: NDArray[np.int64] | None = None,
    ) -> Ranking:
        """Return the `limit` chunks with the highest BM25 scores for `words`.

        `within` are the permitted row ids, ascending; all if None.
        """
        held, plain = self._held_words, words.plain
        if held is not None and plain:
            rows, scores = held.best(plain, limit, self._permitted(where, within))
            return Ranking(BM25, rows, scores, self.size(BM25))
        if within is not None and len(within) > _MAX_LISTED:
            return _only(self.words(words, self._rows, where), within, limit)
        if within is not None:
            where = _and(where, within)
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
        rows = row_ids(table)
        order = np.lexsort((rows, -scores))[:limit]
        return Ranking(BM25, rows[order], scores[order], self.size(BM25))

    def holding(self, phrase: str) -> str:
        """Return the SQL condition that a chunk contains a word or phrase.

        Raises `QueryError` if it has neither letters nor digits.
        """
        exact = phrase_terms(phrase)
        if not exact:
            raise QueryError(f"{phrase!r} has no letters or digits to look for")
        table = self._dataset.to_table(
            columns=["_score"],
            full_text_query=PhraseQuery(exact, WORDS_COLUMN),
            limit=_MAX_LISTED + 1,
            with_row_id=True,
        )
        if table.num_rows > _MAX_LISTED:
            return contains_phrase(exact)
        return row_is_one_of(np.sort(row_ids(table)).tolist())

    def fields(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Return some columns of the chunks at some row ids, by row id."""
        held = self._resident.fields(rows, columns) if self._resident is not None else None
        return held if held is not None else super().fields(rows, columns)

    def take(self, rows: Sequence[int]) -> list[StoredChunk]:
        """Return the chunks at some row ids, in the given order."""
        if not rows:
            return []
        found = self.fields(rows, STORED_COLUMNS)
        return [stored_chunk(found[row]) for row in rows]


def _and(where: str | None, within: NDArray[np.int64]) -> str:
    listed = row_is_one_of(within.tolist())
    return listed if where is None else f"({where}) AND {listed}"


def _only(found: Ranking, within: NDArray[np.int64], limit: int) -> Ranking:
    kept = np.flatnonzero(np.isin(found.rows, within))[:limit]
    return replace(found, rows=found.rows[kept], similarities=found.similarities[kept])
