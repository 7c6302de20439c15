"""The candidates of every source, and what fusing them needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trawl.ranking import Fusion, Method, Null, Prior, fuse
from trawl.types import Modality, Ranking

DEPTH = 100
"""Candidates per source. More than a page shows, since a chunk that is good in two sources may
have a low rank in each."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rankings of all sources and what `fuse` needs to calibrate them, not yet fused.

    `words` is the text of the query, for a reranker.
    """

    rankings: tuple[Ranking, ...]
    nulls: Mapping[str, Null]
    priors: Mapping[str, Prior]
    odds: Mapping[str, float] = field(default_factory=dict)
    query_words: int = 0
    alike: Modality | None = None
    words: str = ""

    def fused(
        self,
        method: Method = "calibrated",
        weights: Mapping[str, float] | None = None,
        rrf_k: float = 60.0,
        *,
        sources: Collection[str] | None = None,
    ) -> Fusion:
        """Fuse the rankings, or only those of `sources`, into one list.

        Candidates beyond the first 100 of each source are appended to those within, so
        that the first pages do not depend on the number of results.
        """
        chosen = [r for r in self.rankings if sources is None or r.source in sources]

        def joined(rankings: Sequence[Ranking]) -> Fusion:
            return fuse(
                rankings,
                method,
                nulls=self.nulls,
                priors=self.priors,
                weights=weights,
                odds=self.odds,
                query_words=self.query_words,
                alike=self.alike,
                rrf_k=rrf_k,
            )

        near = joined([_first(ranking, DEPTH) for ranking in chosen])
        if all(len(ranking.rows) <= DEPTH for ranking in chosen):
            return near
        return near.followed_by(joined(chosen))


def _first(ranking: Ranking, depth: int) -> Ranking:
    if len(ranking.rows) < depth and ranking.complete:
        return ranking
    return replace(
        ranking,
        rows=ranking.rows[:depth],
        similarities=ranking.similarities[:depth],
        complete=len(ranking.rows) < depth,
    )
