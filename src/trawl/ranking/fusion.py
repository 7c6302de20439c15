"""Make one list of several sources' rankings.

``calibrated``, the default, works in two steps. Sources that look at the same things
(the words and the vectors of texts) form a *facet*: within it a chunk's place follows
from the sum of its surprises (`calibration`), and the levels to be had in those places
from the largest surprises, less what the best of several tries gains by chance. Between
facets, levels become probabilities and a chunk's facets are joined by a noisy-or: a
facet that a chunk cannot have costs it nothing, one in which nothing is surprising adds
next to nothing. ``rrf`` and ``weighted`` are the usual ways, kept for comparison and
for those who want them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from trawl.ranking.calibration import GUMBEL_SCALE, Background, Prior, calibrate
from trawl.types import Evidence, Ranking

Method: TypeAlias = Literal["calibrated", "rrf", "weighted"]

# A chunk's level in several facets is joined as by a noisy-or of the probabilities
# sigmoid(2 (level - 1.5)): two levels of chance (0) make 0.4, two clear ones (2) 2.8.
_JOIN_STEEPNESS, _JOIN_AT = 2.0, 1.5

# Fitted to four collections, half of the queries without their answers: at this level
# the first hit is right as often as not, and e times the odds one level higher.
_EVEN = 1.4

GOOD_MATCH = 0.2
"""A best score below this is below the level 0: no better than chance would bring."""

# The surprise that a source which did not return a chunk is taken to have had at it. It
# is also the least that counts, lest a chunk be worse off for having been returned.
_NOT_FOUND = -5.0


@dataclass(frozen=True, slots=True)
class Fused:
    """One row of the joint list, with what every source that found it said."""

    row: int
    score: float
    evidence: tuple[Evidence, ...]


class Fusion(Sequence[Fused]):
    """The joint list, best first. Rows are spelled out only when they are asked for.

    `rows` is int64 [R] and `scores` float64 [R], descending.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float64],
        no_good_match: bool,
        evidence_of: Callable[[int], tuple[Evidence, ...]],
    ) -> None:
        self.rows = rows
        self.scores = scores
        self.no_good_match = no_good_match
        self._evidence_of = evidence_of

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Fused: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fused]: ...
    def __getitem__(self, index: int | slice) -> Fused | list[Fused]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = int(self.rows[index])
        return Fused(row, float(self.scores[index]), self._evidence_of(row))

    def __iter__(self) -> Iterator[Fused]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one source says: `places` int64 [K] into the joint rows, `surprises` [K]."""

    ranking: Ranking
    places: NDArray[np.int64]
    surprises: NDArray[np.float32]
    weight: float


def facet_of(source: str) -> str:
    """Give what a source looks at: "image" for "mini.image"; "text" for "bm25"."""
    _, dot, modality = source.rpartition(".")
    return modality if dot else "text"


def fuse(
    rankings: Sequence[Ranking],
    method: Method = "calibrated",
    *,
    backgrounds: Mapping[str, Background] | None = None,
    priors: Mapping[str, Prior] | None = None,
    weights: Mapping[str, float] | None = None,
    rrf_k: float = 60.0,
) -> Fusion:
    """Join rankings into one list, best first; equal scores stand by row id.

    `backgrounds`, `priors` and `weights` go by the name of the source; a source without
    a weight has 1, and with a weight of 0 it gives evidence but no score. Scores are
    probabilities (0..1) for `calibrated`; sums of weight / (rrf_k + rank) for `rrf`
    (Cormack, Clarke & Buettcher 2009); for `weighted`, sums of weight times similarity
    scaled to 0..1 within each ranking (CombSUM, Fox & Shaw 1994).
    """
    rows, opinions = _opinions(rankings, backgrounds or {}, priors or {}, weights or {})
    total = _joint_levels(opinions, len(rows))
    best = float(_probability(total.max())) if len(total) else 0.0
    if method != "calibrated":
        total = np.zeros(len(rows))
        for opinion in opinions:
            part = (
                1.0 / (rrf_k + np.arange(1, len(opinion.places) + 1))
                if method == "rrf"
                else _unit_range(opinion.ranking.similarities)
            )
            total[opinion.places] += opinion.weight * part
    order = np.lexsort((rows, -total))
    scores = _probability(total[order]) if method == "calibrated" else total[order]

    def evidence_of(row: int) -> tuple[Evidence, ...]:
        found = []
        for opinion in opinions:
            for i in np.flatnonzero(opinion.ranking.rows == row)[:1].tolist():
                similarity = float(opinion.ranking.similarities[i])
                surprise = float(opinion.surprises[i])
                found.append(Evidence(opinion.ranking.source, i + 1, similarity, surprise))
        return tuple(found)

    return Fusion(rows[order], scores, best < GOOD_MATCH, evidence_of)


def _opinions(
    rankings: Sequence[Ranking],
    backgrounds: Mapping[str, Background],
    priors: Mapping[str, Prior],
    weights: Mapping[str, float],
) -> tuple[NDArray[np.int64], list[_Opinion]]:
    """The joint rows, int64 [R] ascending, and what each source says of which."""
    ordered = sorted(rankings, key=lambda ranking: ranking.source)
    if not ordered:
        return np.zeros(0, np.int64), []
    rows, places = np.unique(np.concatenate([r.rows for r in ordered]), return_inverse=True)
    opinions, start = [], 0
    for ranking in ordered:
        source, end = ranking.source, start + len(ranking.rows)
        surprises = calibrate(ranking, backgrounds.get(source), prior=priors.get(source))
        weight = float(weights.get(source, 1.0))
        opinions.append(_Opinion(ranking, places[start:end], surprises, weight))
        start = end
    return rows.astype(np.int64), opinions


def _probability(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that a hit of this level is an answer."""
    return np.asarray(np.exp(-np.logaddexp(0.0, _EVEN - levels)))


def _joint_levels(opinions: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """The level of each of the `count` joint rows, float64; -inf where nothing counts."""
    facets: dict[str, list[_Opinion]] = {}
    for opinion in opinions:
        if opinion.weight > 0:
            facets.setdefault(facet_of(opinion.ranking.source), []).append(opinion)
    levels = [_levels(members, count) for members in facets.values()]
    if len(levels) <= 1:
        return levels[0] if levels else np.full(count, -np.inf)
    # ln(1 + e^x) is -ln(1 - sigmoid(x)), so that the noisy-or is a sum of these.
    total = np.zeros(count)
    for level in levels:
        total += np.logaddexp(0.0, _JOIN_STEEPNESS * (level - _JOIN_AT))
    with np.errstate(divide="ignore"):
        # ln(e^t - 1), which undoes ln(1 + e^x) and does not overflow.
        undone = total + np.log(-np.expm1(-total))
    return np.asarray(_JOIN_AT + undone / _JOIN_STEEPNESS)


def _levels(members: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """The level of each joint row in one facet, float64 [count]; -inf where it has none.

    A weight multiplies a surprise in the sum, and is the odds that the answer is in that
    source for the level: with Gumbel tails a factor w shifts by scale * ln w. A source
    that returned nothing was a try all the same.
    """
    best = np.full(count, -np.inf)
    total = np.zeros(count)
    for member in members:
        surprises = member.surprises.astype(np.float64)
        odds = GUMBEL_SCALE * math.log(member.weight)
        best[member.places] = np.maximum(best[member.places], surprises + odds)
        above = np.logaddexp(surprises, _NOT_FOUND) - _NOT_FOUND
        total[member.places] += member.weight * above
    if len(members) == 1:
        return best
    found = np.flatnonzero(best > -np.inf)
    # Stable, so that rows of equal sums stay in order of their ids.
    places = found[np.argsort(-total[found], kind="stable")]
    tries = GUMBEL_SCALE * math.log(len(members))
    best[places] = np.sort(best[found])[::-1] - tries
    return best


def _unit_range(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scaled to 0..1 within the ranking; all 1 where they are all equal."""
    values = similarities.astype(np.float64)
    if len(values) == 0 or values.min() == values.max():
        return np.ones(len(values))
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low), dtype=np.float64)
