"""Fuse the rankings of several sources into one list.

``calibrated``, the default, works in two steps. Sources of one modality (the words and the
vectors of texts) form a *facet*: within it, a row's level is the sum of its surprises
(`calibration`) in standard deviations, less for each row above it. Between facets, levels
become probabilities, joined by a noisy-or; a facet that a row cannot have costs nothing,
and one that speaks clearly against it costs a part of its level. ``rrf`` and ``weighted``
are the usual methods, for comparison.

The best score is also the confidence that there is an answer at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.ranking.calibration import GUMBEL_SCALE, Null, Prior, calibrate
from trawl.ranking.fused import Fusion
from trawl.types import MODALITIES, Evidence, Modality, Ranking

Method: TypeAlias = Literal["calibrated", "rrf", "weighted"]

# Facets are joined as by a noisy-or of the probabilities sigmoid(2 (level - 1.5)): two levels
# of chance (0) make 0.4, two clear ones (2) make 2.8.
_JOIN_STEEPNESS, _JOIN_AT = 2.0, 1.5

# A facet whose level is below this speaks against a row, which loses this part of the rest.
_AGAINST_BELOW, _AGAINST_SHARE = -2.5, 0.5

# The level of the r-th row of a facet is less by this times ln r: of ten texts that are
# equally near, each is less likely to be the answer than one picture that is.
_CROWDING = 0.5

# At this level the first hit is right as often as not; one level more is e^0.7 times the odds.
_EVEN, _STEEPNESS = 2.4, 0.7

# The part of the lead over the tenth best in the confidence, and the lead that counts at most.
_LEAD_SHARE, _LONGEST_LEAD = 0.15, 6.0

# The least surprise that counts, and that of a row which a source did not return.
_NOT_FOUND = -5.0

# The best sum of surprises in a facet is less than the sum of the bests by this for each
# further source, and the surprises of its sources correlate by this (docs/ranking.md).
_APART, _CORRELATION = 0.75, 0.62

# A surprise of one source alone counts less by this where a second source had its say.
_ALONE = 0.5


@dataclass(frozen=True, slots=True)
class _Opinion:
    """A calibrated ranking.

    `places` are int64 [K], indices into the joint rows; `lacks`, bool [R], are the joint rows
    that the source would have returned if they were any good.
    """

    ranking: Ranking
    places: NDArray[np.int64]
    lacks: NDArray[np.bool_]
    surprises: NDArray[np.float32]
    weight: float

    def evidence(self, i: int) -> Evidence:
        """Return the evidence for the i-th row of the ranking."""
        return Evidence(
            self.ranking.source,
            i + 1,
            float(self.ranking.similarities[i]),
            float(self.surprises[i]),
            self.weight,
        )


def facet_of(source: str) -> Modality:
    """Return the modality that a source searches: "image" for "mini.image", "text" for "bm25"."""
    found = source.rpartition(".")[2]
    return next((modality for modality in MODALITIES if modality == found), "text")


def fuse(
    rankings: Sequence[Ranking],
    method: Method = "calibrated",
    *,
    nulls: Mapping[str, Null] | None = None,
    priors: Mapping[str, Prior] | None = None,
    weights: Mapping[str, float] | None = None,
    odds: Mapping[str, float] | None = None,
    query_words: int = 0,
    alike: Modality | None = None,
    rrf_k: float = 60.0,
) -> Fusion:
    """Fuse rankings into one list, best first, ties by row id.

    `nulls`, `priors` and `weights` are by source; a source without a weight has 1, and one
    with weight 0 gives evidence but no score. `odds` are by source or by modality: how much
    its levels are raised. `query_words` is the number of distinct words of a text query, for BM25.
    `alike` is the modality in which a similarity of 1 to the query means the same thing.

    Scores are probabilities (0..1) for `calibrated`; sums of weight / (rrf_k + rank) for
    `rrf` (Cormack, Clarke & Buettcher 2009); for `weighted`, sums of weight times
    similarity scaled to 0..1 within each ranking (CombSUM, Fox & Shaw 1994).
    """
    ordered = sorted(rankings, key=lambda ranking: ranking.source)
    surprises = [
        calibrate(
            ranking,
            (nulls or {}).get(ranking.source),
            prior=(priors or {}).get(ranking.source),
            query_words=query_words,
            copies=alike is not None and ranking.source.endswith(f".{alike}"),
            odds=_odds_of(ranking.source, odds or {}),
        )
        for ranking in ordered
    ]
    rows, opinions = _opinions(ordered, surprises, weights or {})
    members = list(_facets(opinions).values())
    facets = [_crowded(_levels(facet, len(rows))) for facet in members]
    if method == "calibrated":
        total = _joined(facets, [_strongest(facet, len(rows)) for facet in members], len(rows))
    else:
        total = _summed(opinions, len(rows), rrf_k if method == "rrf" else None)
    order = np.lexsort((rows, -total))
    scores = _probability(total[order]) if method == "calibrated" else total[order]

    @cache
    def places() -> list[dict[int, int]]:
        """Return the place of each row in each source; built on first access."""
        return [
            {row: i for i, row in enumerate(opinion.ranking.rows.tolist())} for opinion in opinions
        ]

    def evidence_of(row: int) -> tuple[Evidence, ...]:
        return tuple(
            opinion.evidence(place_of[row])
            for opinion, place_of in zip(opinions, places(), strict=True)
            if row in place_of
        )

    return Fusion(rows[order], scores, _confidence(facets), evidence_of, method == "calibrated")


def _odds_of(source: str, odds: Mapping[str, float]) -> float:
    return odds[source] if source in odds else odds.get(facet_of(source), 0.0)


def _summed(opinions: Sequence[_Opinion], rows: int, rrf_k: float | None) -> NDArray[np.float64]:
    """Return the totals of reciprocal rank fusion, or of CombSUM if `rrf_k` is None."""
    total = np.zeros(rows)
    for opinion in opinions:
        part = (
            _unit_range(opinion.ranking.similarities)
            if rrf_k is None
            else 1.0 / (rrf_k + np.arange(1, len(opinion.places) + 1))
        )
        total[opinion.places] += opinion.weight * part
    return total


def _opinions(
    rankings: Sequence[Ranking],
    surprises: Sequence[NDArray[np.float32]],
    weights: Mapping[str, float],
) -> tuple[NDArray[np.int64], list[_Opinion]]:
    """Return the joint rows, int64 [R] ascending, and an opinion for each ranking."""
    if not rankings:
        return np.zeros(0, np.int64), []
    rows, places = np.unique(np.concatenate([r.rows for r in rankings]), return_inverse=True)
    opinions, start = [], 0
    for ranking, values in zip(rankings, surprises, strict=True):
        end = start + len(ranking.rows)
        weight = float(weights.get(ranking.source, 1.0))
        lacks = _lacks(ranking, rows, places[start:end])
        opinions.append(_Opinion(ranking, places[start:end], lacks, values, weight))
        start = end
    return rows.astype(np.int64), opinions


def _lacks(
    ranking: Ranking, rows: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which joint rows a source searched and did not return: bool [R]."""
    if ranking.complete:
        return np.zeros(len(rows), bool)
    lacks = np.ones(len(rows), bool)
    if ranking.ranges is not None:
        lacks = np.zeros(len(rows), bool)
        for first, last in ranking.ranges:
            lacks |= (rows >= first) & (rows <= last)
    lacks[places] = False
    return lacks


def _probability(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that a hit of this level is an answer."""
    return np.asarray(np.exp(-np.logaddexp(0.0, _STEEPNESS * (_EVEN - levels))))


def _confidence(facets: Sequence[NDArray[np.float64]]) -> float:
    """Return the probability that any row is an answer, from the levels of each facet.

    The best facet counts, with a part of the lead over its tenth best, and less for each
    facet that was searched: the best of several is higher by chance.
    """
    best = -math.inf
    for levels in facets:
        ordered = np.sort(levels[levels > -np.inf])[::-1]
        if len(ordered):
            # The tenth of a hundred; in a short list one higher up.
            runner_up = min(max(len(ordered) // 10, 3), len(ordered)) - 1
            lead = min(float(ordered[0] - ordered[runner_up]), _LONGEST_LEAD)
            best = max(best, float(ordered[0]) + _LEAD_SHARE * lead)
    if best == -math.inf:
        return 0.0
    return float(_probability(np.array([best - GUMBEL_SCALE * math.log(len(facets))]))[0])


def _facets(opinions: Sequence[_Opinion]) -> dict[str, list[_Opinion]]:
    """Return the opinions with a weight, by modality."""
    facets: dict[str, list[_Opinion]] = {}
    for opinion in opinions:
        if opinion.weight > 0:
            facets.setdefault(facet_of(opinion.ranking.source), []).append(opinion)
    return facets


def _strongest(members: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """Return the largest surprise of each joint row in one facet; -inf where it has none."""
    best = np.full(count, -np.inf)
    for member in members:
        best[member.places] = np.maximum(best[member.places], member.surprises)
    return best


def _joined(
    levels: Sequence[NDArray[np.float64]], strongest: Sequence[NDArray[np.float64]], count: int
) -> NDArray[np.float64]:
    """Return the levels of `count` rows over all facets, float64; -inf where nothing counts.

    A facet speaks against a row if even the `strongest` surprise in it is low. Its level is
    no measure of that: weights and better rows lower it, too.
    """
    if len(levels) <= 1:
        return levels[0] if levels else np.full(count, -np.inf)
    # ln(1 + e^x) is -ln(1 - sigmoid(x)), so that the noisy-or is a sum of these.
    total = np.zeros(count)
    against = np.zeros(count)
    for level, best in zip(levels, strongest, strict=True):
        total += np.logaddexp(0.0, _JOIN_STEEPNESS * (level - _JOIN_AT))
        against += np.where(best > -np.inf, np.minimum(best - _AGAINST_BELOW, 0.0), 0.0)
    with np.errstate(divide="ignore"):
        # ln(e^t - 1), which undoes ln(1 + e^x) and does not overflow.
        undone = total + np.log(-np.expm1(-total))
    return np.asarray(_JOIN_AT + undone / _JOIN_STEEPNESS + _AGAINST_SHARE * against)


def _crowded(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the levels of one facet, each less by its rank; equals stay equal."""
    ranks = len(levels) + 1 - np.searchsorted(np.sort(levels), levels, side="right")
    return np.asarray(levels - _CROWDING * np.log(ranks))


def _levels(members: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """Return the level of each joint row in one facet, float64 [count]; -inf where it has none.

    The level is the sum of surprises in its own standard deviations (Stouffer's method,
    for correlated tests), or the largest single one less `_ALONE` if that is more. A
    weight multiplies a surprise in the sum, and is the odds that the answer is in that
    source: with Gumbel tails a factor w shifts by scale * ln w. A row counts `_NOT_FOUND`
    in a source that searched it and did not return it.
    """
    size = len(members)
    usual = sum(member.weight for member in members) / size
    best = np.full(count, -np.inf)
    total, linear, square = np.zeros(count), np.zeros(count), np.zeros(count)
    for member in members:
        share = member.weight / usual
        surprises = member.surprises.astype(np.float64)
        odds = GUMBEL_SCALE * math.log(member.weight)
        best[member.places] = np.maximum(best[member.places], surprises + odds)
        sums = np.where(member.lacks, share * _NOT_FOUND, 0.0)
        sums[member.places] = share * np.logaddexp(surprises, _NOT_FOUND)
        judged = member.lacks.copy()
        judged[member.places] = True
        total += sums
        linear += share * judged
        square += share**2 * judged
    if size == 1:
        return best
    rows = np.flatnonzero(best > -np.inf)
    variance = (1 - _CORRELATION) * square[rows] + _CORRELATION * linear[rows] ** 2
    together = (total[rows] + _APART * (linear[rows] - 1)) / np.sqrt(variance)
    together += GUMBEL_SCALE * math.log(usual)
    alone = best[rows] - _ALONE * np.log2(np.maximum(linear[rows], 1))
    # Stable, so that rows of equal sums stay in order of their ids. Both sequences fall from
    # place to place, so that a higher surprise lowers nobody's own level.
    places = np.argsort(-together, kind="stable")
    best[rows[places]] = np.maximum(together[places], np.sort(alone)[::-1])
    return best


def _unit_range(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the similarities scaled to 0..1; all 1 if they are equal."""
    values = similarities.astype(np.float64)
    if len(values) == 0 or values.min() == values.max():
        return np.ones(len(values))
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low), dtype=np.float64)
