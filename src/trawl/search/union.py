"""One list from the candidates of several libraries, as if one library held them all.

The candidates of each source are joined before they are calibrated and fused. Cosines of one
model compare across libraries; what chance brings in all of them together follows from what it
brings in each (`trawl.ranking.joined_null`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.errors import UsageError
from trawl.ranking import Fused
from trawl.search.answering import answer_of, timed
from trawl.search.arrange import Page, hits_of, known_column
from trawl.search.browsing import sort_key, sort_rows, without_effect
from trawl.search.candidates import Candidate, Candidates
from trawl.search.joining import MOST_ROWS, join
from trawl.search.options import SearchOptions
from trawl.search.rerank import Reranker
from trawl.store import BM25, Copies, filter_column
from trawl.types import Answer, ColumnType, Facet, Hit, Place, StoredChunk

SEPARATOR = "~"
"""Stands between the name of a library and the id of a document or chunk in it."""


def qualified(name: str, chunk_or_document_id: str) -> str:
    """Return the id that a document or chunk of a library has among several libraries."""
    return f"{name}{SEPARATOR}{chunk_or_document_id}"


class Union:
    """The candidates of several libraries, by name: `trawl.search.rows.Rows`.

    The ids of documents and chunks have the library's name before them. `but_not` is the content
    of a file that is left out with all its copies.
    """

    def __init__(self, members: Mapping[str, Candidates], but_not: str = "") -> None:
        self._members = members
        self._chunks: dict[int, Candidate] = {}
        for place, (name, member) in enumerate(members.items()):
            for row, candidate in member.chunks.items():
                if not but_not or candidate.content != but_not:
                    self._chunks[place * MOST_ROWS + row] = _named(name, candidate)
        self.columns = _joined_columns([member.columns for member in members.values()])
        self.copies = _copies(self._chunks.values())
        self.sources = tuple(dict.fromkeys(s for one in members.values() for s in one.spaces))
        self._rows = {one.chunk.chunk_id: row for row, one in self._chunks.items()}

    # --- the rows ----------------------------------------------------------------------

    def fields(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Return some columns of the candidates at some rows, by row."""
        keys = {filter_column(key): key for key in self.columns}
        return {row: {name: self._field(row, name, keys) for name in columns} for row in rows}

    def _field(self, row: int, column: str, keys: Mapping[str, str]) -> Any:
        chunk = self._chunks[row].chunk
        if column == "ordinal":
            return _ordinal(chunk.chunk_id)
        if column == "links":
            return [
                {"kind": one.kind, "ordinal": _ordinal(one.chunk_id), "label": one.label}
                for one in chunk.links
            ]
        if hasattr(chunk, column):
            return getattr(chunk, column)
        value = chunk.metadata.get(keys[column])
        return str(value) if self.columns[keys[column]] == "text" and value is not None else value

    def take(self, rows: Sequence[int]) -> list[StoredChunk]:
        """Return the chunks at some rows, in the given order."""
        return [self._chunks[row].chunk for row in rows]

    def rows_of(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the rows of passages by chunk id; other chunks are left out."""
        found = ((name, self._rows[name]) for name in chunk_ids if name in self._rows)
        return {name: row for name, row in found if self._chunks[row].chunk.modality == "text"}

    def vectors(self, source: str, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors [D] of a source by row, for the rows that have one."""
        names = list(self._members)
        known: dict[int, NDArray[np.float32]] = {}
        for row in rows:
            space = self._members[names[row // MOST_ROWS]].spaces.get(source)
            vector = self._chunks[row].vectors.get(source)
            if vector is not None and space == self._space(source):
                known[row] = vector
        return known

    def _space(self, source: str) -> str | None:
        """Return the fingerprint of a source in the first library that has it."""
        found = (one.spaces[source] for one in self._members.values() if source in one.spaces)
        return next(found, None)

    # --- answers -----------------------------------------------------------------------

    def answer(
        self, options: SearchOptions, reranker: Callable[[str], Reranker], timings: dict[str, float]
    ) -> tuple[Answer, bool]:
        """Return the answer to a query, and whether more candidates would lengthen it.

        Raises `UsageError` if no library has a source that `options.weights` names, and
        `FilterError` if none has a column to sort by or to count.
        """
        self._check_weights(options.weights)
        with timed(timings, "join"):
            gathered = join(self._members, self._space)
        among = np.array(list(self._chunks), np.int64)
        answer, short = answer_of(gathered, options, self, reranker, self._is_gone, timings, among)
        return replace(answer, hits=tuple(map(self._in_library, answer.hits))), short

    def listing(self, options: SearchOptions) -> Answer:
        """Return the documents that match a filter: `browse` for several libraries.

        Raises `FilterError` if no library has a column to sort by or to count.
        """
        name, descending = sort_key(options)
        key = known_column(name, self.columns, "sort by")
        for facet in options.facets:
            known_column(facet, self.columns, "count")
        rows = self.fields(list(self._chunks), ["uri", key])
        found = [values | {"_rowid": row} for row, values in rows.items()]
        end = options.offset + options.limit
        listed = sort_rows(found, key, descending)[options.offset : end]
        page = Page([Fused(int(row["_rowid"]), 1.0) for row in listed], {})
        hits = hits_of("", options, self, page, self._is_gone)
        return Answer(
            tuple(map(self._in_library, hits)),
            {},
            confidence=1.0,
            facets=_summed(options.facets, [one.facets for one in self._members.values()]),
            notices=without_effect(options),
            total=sum(one.total or 0 for one in self._members.values()),
        )

    def _is_gone(self, chunk: StoredChunk) -> bool:
        return self._chunks[self._rows[chunk.chunk_id]].gone

    def _in_library(self, hit: Hit) -> Hit:
        return replace(hit, library=hit.chunk_id.partition(SEPARATOR)[0])

    def _check_weights(self, weights: Mapping[str, float]) -> None:
        known = (BM25, *self.sources)
        for source in weights:
            if source not in known:
                raise UsageError(
                    f"weight of an unknown source {source!r}; sources of these libraries: "
                    f"{', '.join(known)}"
                )


def _named(name: str, candidate: Candidate) -> Candidate:
    """Return a candidate with the library's name in all its ids."""
    chunk = candidate.chunk
    return replace(
        candidate,
        chunk=replace(
            chunk,
            chunk_id=qualified(name, chunk.chunk_id),
            document_id=qualified(name, chunk.document_id),
            links=tuple(
                replace(one, chunk_id=qualified(name, one.chunk_id)) for one in chunk.links
            ),
        ),
        places=tuple(Place(qualified(name, one.document_id), one.uri) for one in candidate.places),
    )


def _ordinal(chunk_id: str) -> int:
    return int(chunk_id.rpartition(":")[2])


def _joined_columns(found: Sequence[Mapping[str, ColumnType]]) -> dict[str, ColumnType]:
    """Return the columns of all libraries; those of two types are text, or real for numbers."""
    joined: dict[str, ColumnType] = {}
    for columns in found:
        for key, kind in columns.items():
            if joined.setdefault(key, kind) != kind:
                joined[key] = "real" if {joined[key], kind} == {"integer", "real"} else "text"
    return joined


def _summed(keys: Sequence[str], found: Sequence[Sequence[Facet]]) -> tuple[Facet, ...]:
    """Return the sums of the libraries' counts, most frequent value first."""
    counts: dict[str, Counter[Any]] = {key: Counter() for key in keys}
    for facets in found:
        for facet in facets:
            counts[facet.key].update(dict(facet.counts))
    return tuple(
        Facet(key, tuple(sorted(some.items(), key=lambda pair: (-pair[1], str(pair[0])))))
        for key, some in counts.items()
    )


def _copies(candidates: Iterable[Candidate]) -> Copies:
    """Return the documents with the same content, in one library or in several."""
    groups: dict[str, dict[str, Place]] = defaultdict(dict)
    for one in candidates:
        content = one.content or one.chunk.document_id
        own = Place(one.chunk.document_id, one.chunk.uri)
        groups[content] |= {place.document_id: place for place in (own, *one.places)}
    found = [tuple(group.values()) for group in groups.values() if len(group) > 1]
    return Copies({place.document_id: group for group in found for place in group})
