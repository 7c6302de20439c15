"""What one library contributes to a search of several: its candidates, and what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.query import Filter
from trawl.search.browsing import matching_documents, sort_key
from trawl.search.copies import IsGone
from trawl.search.gathered import Gathered
from trawl.search.options import SearchOptions
from trawl.search.request import QueryPart
from trawl.store import Snapshot
from trawl.types import ColumnType, Facet, Modality, Place, StoredChunk

LEFT_TO_CALLER: Mapping[str, Any] = {"cursor": None, "rerank": None, "weights": {}, "where": None}
"""The options of a `Question` that the caller applies itself, with their defaults."""

# Figures whose citing passages are among the candidates.
_FIGURES = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A search of several libraries, as each of them receives it.

    `options` have the limit, the offset and the words; what arranges the list is left to the
    caller. `version` is that of an earlier page. With `deep`, each source is asked for all the
    candidates that it may return.
    """

    parts: tuple[QueryPart, ...]
    where: Filter | None
    options: SearchOptions
    version: int | None = None
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Liked:
    """A chunk that other libraries search for chunks like: its vectors by fingerprint, [D].

    `content` identifies its file's bytes, "" if unknown.
    """

    modality: Modality
    vectors: Mapping[str, NDArray[np.float32]]
    content: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that a library sends. `content` identifies its file's bytes, "" if unknown.

    `places` are the other documents of the library with the same content. `vectors` are those of
    the chunk by source, float32 [D], if the list shall be diverse.
    """

    chunk: StoredChunk
    content: str = ""
    places: tuple[Place, ...] = ()
    gone: bool = False
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidates:
    """One library's part of a search of several.

    The rows of `gathered` are numbered from 0; `chunks` has the best of them. Without a query
    `gathered` is None, and `chunks` are the first of the `total` documents that match, in order.
    `spaces` has the fingerprint of each source of vectors.
    """

    version: int
    columns: Mapping[str, ColumnType]
    spaces: Mapping[str, str]
    chunks: Mapping[int, Candidate]
    gathered: Gathered | None = None
    total: int | None = None
    facets: tuple[Facet, ...] = ()
    notices: tuple[str, ...] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict)


def candidates_of(
    gathered: Gathered, options: SearchOptions, snapshot: Snapshot, is_gone: IsGone
) -> tuple[Gathered, dict[int, Candidate]]:
    """Return the rankings with rows from 0, and the chunks of the best rows."""
    fused = gathered.fused(options.fusion, None, options.rrf_k)
    rows = [int(row) for row in fused.rows[: _sent(options, len(fused))]]
    chunks = snapshot.take(rows)
    figures = [chunk for chunk in chunks if any(one.kind == "cited_by" for one in chunk.links)]
    cited_by = [one.chunk_id for chunk in figures[:_FIGURES] for one in chunk.links]
    passages = snapshot.rows_of(cited_by).values() if cited_by else ()
    more = [row for row in passages if row in set(fused.rows.tolist()) - set(rows)]
    found = _with_contents([*rows, *more], [*chunks, *snapshot.take(more)], snapshot, is_gone)
    if options.diversity > 0:
        found = _with_vectors(found, snapshot)
    known = np.unique(np.concatenate([np.zeros(0, np.int64), *(r.rows for r in gathered.rankings)]))
    numbered = tuple(
        replace(one, rows=np.searchsorted(known, one.rows).astype(np.int64))
        for one in gathered.rankings
    )
    places = np.searchsorted(known, np.array(list(found), np.int64))
    numbers = dict(zip(places.tolist(), found.values(), strict=True))
    return replace(gathered, rankings=numbered), numbers


def listed(
    where: Filter | None, options: SearchOptions, snapshot: Snapshot, is_gone: IsGone
) -> tuple[dict[int, Candidate], int, tuple[Facet, ...]]:
    """Return the first documents that match a filter, the number of all, and their facets.

    Documents of a library without the column of `options.sort` have no value there.
    """
    key, _ = sort_key(options)
    known = {name for name in (key, *options.facets) if name in snapshot.columns}
    here = options.model_copy(
        update={
            "sort": options.sort if key in known else None,
            "facets": tuple(name for name in options.facets if name in known),
        }
    )
    rows, facets = matching_documents(where, here, snapshot)
    page = [int(row["_rowid"]) for row in rows[: options.offset + options.limit]]
    found = _with_contents(page, snapshot.take(page), snapshot, is_gone)
    return dict(enumerate(found.values())), len(rows), facets


def _sent(options: SearchOptions, size: int) -> int:
    """Return how many candidates the page may need."""
    whole = (
        options.balance,
        options.quotas,
        options.interleave,
        options.sort,
        options.facets,
        options.weights,
    )
    arranged = (options.rerank, options.skip_duplicates, options.diversity, options.group)
    end = options.offset + options.limit
    if any(whole):
        return size
    return max(200, 3 * end) if any(arranged) else max(50, 3 * end)


def _with_contents(
    rows: Sequence[int], chunks: Sequence[StoredChunk], snapshot: Snapshot, is_gone: IsGone
) -> dict[int, Candidate]:
    contents = snapshot.fields(rows, ["content"])
    others = snapshot.copies.others
    return {
        row: Candidate(
            chunk,
            contents[row]["content"] or "",
            others(chunk.document_id),
            is_gone(chunk),
        )
        for row, chunk in zip(rows, chunks, strict=True)
    }


def _with_vectors(found: Mapping[int, Candidate], snapshot: Snapshot) -> dict[int, Candidate]:
    vectors = {source: snapshot.vectors(source, list(found)) for source in snapshot.sources}
    return {
        row: replace(one, vectors={s: known[row] for s, known in vectors.items() if row in known})
        for row, one in found.items()
    }
