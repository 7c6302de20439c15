"""Join the candidates of several libraries by source, before they are calibrated and fused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trawl.ranking import Null, facet_of, joined_null
from trawl.search.candidates import Candidates
from trawl.search.gathered import Gathered
from trawl.store import BM25
from trawl.types import Ranking

MOST_ROWS = 2**32
"""Rows of the n-th library are numbered from n times this."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The ranking of one source in one library."""

    place: int
    ranking: Ranking
    null: Null | None
    odds: float


def join(members: Mapping[str, Candidates], space_of: Callable[[str], str | None]) -> Gathered:
    """Return the candidates of all libraries as one library would return them.

    `space_of` returns the fingerprint of the model that has a source's name; a source of another
    model gets the library's name before its own, and is judged alone.
    """
    parts: dict[str, list[_Part]] = defaultdict(list)
    found: list[Gathered] = []
    priors = {}
    for place, (name, member) in enumerate(members.items()):
        if (gathered := member.gathered) is None:
            continue
        found.append(gathered)
        for ranking in gathered.rankings:
            source = ranking.source
            odds = gathered.odds.get(facet_of(source), 0.0)
            null, prior = gathered.nulls.get(source), gathered.priors.get(source)
            if member.spaces.get(source) != space_of(source):
                source = f"{name}~{source}"
            if prior is not None:
                priors[source] = prior
            parts[source].append(_Part(place, ranking, null, odds))
    searched = _searched(parts)
    nulls = {source: null for source, some in parts.items() if (null := _null(some)) is not None}
    return replace(
        found[0],
        rankings=tuple(
            _ranking(source, some, len(found), searched.get(source))
            for source, some in parts.items()
        ),
        nulls=nulls,
        priors=priors,
        odds={source: _odds(some) for source, some in parts.items()},
    )


def _ranking(source: str, parts: Sequence[_Part], of: int, searched: int | None) -> Ranking:
    rows = np.concatenate([part.ranking.rows + part.place * MOST_ROWS for part in parts])
    similarities = np.concatenate([part.ranking.similarities for part in parts])
    order = np.lexsort((rows, -similarities))
    ranges = tuple((part.place * MOST_ROWS, (part.place + 1) * MOST_ROWS - 1) for part in parts)
    return Ranking(
        source,
        rows[order],
        similarities[order],
        searched if searched is not None else sum(part.ranking.searched for part in parts),
        complete=all(part.ranking.complete for part in parts),
        ranges=ranges if len(parts) < of else None,
    )


def _searched(parts: Mapping[str, Sequence[_Part]]) -> dict[str, int]:
    """Return, for each source of vectors, the rows of its modality in all libraries.

    Libraries with other models count: chance has as many rows to choose from.
    """
    largest: dict[tuple[str, int], int] = Counter()
    for source, some in parts.items():
        for part in some:
            if source != BM25:
                key = facet_of(source), part.place
                largest[key] = max(largest[key], part.ranking.searched)
    totals: Counter[str] = Counter()
    for (facet, _), size in largest.items():
        totals[facet] += size
    return {source: totals[facet_of(source)] for source in parts if source != BM25}


def _null(parts: Sequence[_Part]) -> Null | None:
    measured = [
        (part.null, max(part.ranking.searched, len(part.ranking.rows), 1))
        for part in parts
        if part.null is not None
    ]
    return joined_null(measured) if measured else None


def _odds(parts: Sequence[_Part]) -> float:
    """Return the mean of the libraries' odds, by their sizes."""
    sizes = [max(part.ranking.searched, 1) for part in parts]
    return float(np.average([part.odds for part in parts], weights=sizes))
