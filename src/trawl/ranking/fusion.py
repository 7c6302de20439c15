"""Make one list of several sources' rankings.

``calibrated``, the default, works in two steps. Sources that look at the same things
(the words and the vectors of texts) form a *facet*: within it a chunk's place follows
from the sum of its surprises (`calibration`), and its level from how surprising that
sum is, lower from place to place. Between facets, levels become probabilities and a chunk's
facets are joined by a noisy-or: a facet that a chunk cannot have costs it nothing, one
in which nothing is surprising adds next to nothing. ``rrf`` and ``weighted`` are the
usual ways, kept for comparison and for those who want them.

Whether there is an answer at all is another question, and has a number of its own: the
confidence, from the `standing` of each source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from trawl.ranking.calibration import (
    GUMBEL_SCALE,
    Background,
    Calibrated,
    Prior,
    calibrate,
)
from trawl.types import Evidence, Ranking

Method: TypeAlias = Literal["calibrated", "rrf", "weighted"]

# A chunk's level in several facets is joined as by a noisy-or of the probabilities
# sigmoid(2 (level - 1.5)): two levels of chance (0) make 0.4, two clear ones (2) 2.8.
_JOIN_STEEPNESS, _JOIN_AT = 2.0, 1.5

# Of ten texts that all stand high, not each is as likely to be the answer as the one
# picture that does: the level of the r-th in its facet is less by this times ln r.
_CROWDING = 0.5

# Fitted to four collections, half of the queries without their answers: at this level
# the first hit is right as often as not, and e^0.7 times the odds one level higher.
_EVEN, _STEEPNESS = 2.4, 0.7

# Likewise fitted: at this standing there is an answer as often as not.
_SURE_AT, _SURE_STEEPNESS = 2.2, 0.7

# The standings that a source can have at least (one that returned nothing) and at most.
_LOWEST, _HIGHEST = -2.5, 8.0

GOOD_MATCH = 0.18
"""Below this confidence, at a standing of 0, there is no good match."""

# The surprise that a source which did not return a chunk is taken to have had at it. It
# is also the least that counts, lest a chunk be worse off for having been returned.
_NOT_FOUND = -5.0

# The best sum of surprises in a facet is less than the sum of the bests by so much for
# each further source, since the chunk that is best in one is seldom so in another; and
# the surprises of its sources correlate so. Both as what libraries give to excerpts of
# their own (docs/ranking.md); no answers were needed for it.
_APART, _CORRELATION = 0.75, 0.62

# What one of two sources sees and the other does not is worth so much less, of four twice
# that: more than the 0.78 ln 2 that the better of two tries gains by chance.
_ALONE = 1.0


@dataclass(frozen=True, slots=True)
class Fused:
    """One row of the joint list, with what every source that found it said."""

    row: int
    score: float
    evidence: tuple[Evidence, ...]


class Fusion(Sequence[Fused]):
    """The joint list, best first. Rows are spelled out only when they are asked for.

    `rows` is int64 [R] and `scores` float64 [R], descending; `confidence` is the
    probability, 0..1, that anything that was searched answers the query; `evidence_of`
    tells what the sources said of a row.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float64],
        confidence: float,
        evidence_of: Callable[[int], tuple[Evidence, ...]],
    ) -> None:
        self.rows = rows
        self.scores = scores
        self.confidence = confidence
        self.evidence_of = evidence_of

    @property
    def no_good_match(self) -> bool:
        """Whether nothing stands out: what is listed is merely the nearest there is."""
        return self.confidence < GOOD_MATCH

    def followed_by(self, further: Fusion) -> Fusion:
        """Give this list and behind it what `further` has besides, no score above its last."""
        more = ~np.isin(further.rows, self.rows)
        last = self.scores[-1] if len(self.scores) else np.inf
        return Fusion(
            np.concatenate([self.rows, further.rows[more]]),
            np.concatenate([self.scores, np.minimum(further.scores[more], last)]),
            self.confidence,
            further.evidence_of,
        )

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
        return Fused(row, float(self.scores[index]), self.evidence_of(row))

    def __iter__(self) -> Iterator[Fused]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one source says: `places` int64 [K] into the joint rows, and its worth."""

    ranking: Ranking
    places: NDArray[np.int64]
    worth: Calibrated
    weight: float

    def evidence(self, i: int) -> Evidence:
        """What it says of the i-th of its ranking."""
        return Evidence(
            self.ranking.source,
            i + 1,
            float(self.ranking.similarities[i]),
            float(self.worth.surprises[i]),
            self.weight,
        )


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
    if method == "calibrated":
        total = _joint_levels(opinions, len(rows))
    else:
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

    @cache
    def places() -> list[dict[int, int]]:
        """The place of each row in each source; made only if anyone asks."""
        return [
            {row: i for i, row in enumerate(opinion.ranking.rows.tolist())} for opinion in opinions
        ]

    def evidence_of(row: int) -> tuple[Evidence, ...]:
        return tuple(
            opinion.evidence(found[row])
            for opinion, found in zip(opinions, places(), strict=True)
            if row in found
        )

    return Fusion(rows[order], scores, _confidence(opinions), evidence_of)


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
        worth = calibrate(ranking, backgrounds.get(source), prior=priors.get(source))
        weight = float(weights.get(source, 1.0))
        opinions.append(_Opinion(ranking, places[start:end], worth, weight))
        start = end
    return rows.astype(np.int64), opinions


def _probability(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that a hit of this level is an answer."""
    return np.asarray(np.exp(-np.logaddexp(0.0, _STEEPNESS * (_EVEN - levels))))


def _confidence(opinions: Sequence[_Opinion]) -> float:
    """The probability that there is an answer, by the facet that stands highest.

    Sources of one facet look at the same things, and one that sees nothing speaks
    against one that does: they are averaged.
    """
    best = -math.inf
    for members in _facets(opinions).values():
        total = sum(m.weight * min(max(m.worth.standing, _LOWEST), _HIGHEST) for m in members)
        best = max(best, total / sum(m.weight for m in members))
    if best == -math.inf:
        return 0.0
    return 1 / (1 + math.exp(_SURE_STEEPNESS * (_SURE_AT - best)))


def _facets(opinions: Sequence[_Opinion]) -> dict[str, list[_Opinion]]:
    """The opinions that count, by what their sources look at."""
    facets: dict[str, list[_Opinion]] = {}
    for opinion in opinions:
        if opinion.weight > 0:
            facets.setdefault(facet_of(opinion.ranking.source), []).append(opinion)
    return facets


def _joint_levels(opinions: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """The level of each of the `count` joint rows, float64; -inf where nothing counts."""
    levels = [_crowded(_levels(members, count)) for members in _facets(opinions).values()]
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


def _crowded(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The levels of one facet, each less by how many stand above it; equals stay equal."""
    ranks = len(levels) + 1 - np.searchsorted(np.sort(levels), levels, side="right")
    return np.asarray(levels - _CROWDING * np.log(ranks))


def _levels(members: Sequence[_Opinion], count: int) -> NDArray[np.float64]:
    """The level of each joint row in one facet, float64 [count]; -inf where it has none.

    The level is the sum of surprises in its own standard deviations (Stouffer's method,
    for correlated tests), or the largest single one less `_ALONE` where that is more. A
    weight multiplies a surprise in the sum, and is the odds that the answer is in that
    source: with Gumbel tails a factor w shifts by scale * ln w. A source that returned
    nothing had its say all the same.
    """
    best = np.full(count, -np.inf)
    total = np.zeros(count)
    size = len(members)
    usual = sum(member.weight for member in members) / size
    shares = np.array([member.weight / usual for member in members])
    for member, share in zip(members, shares.tolist(), strict=True):
        surprises = member.worth.surprises.astype(np.float64)
        odds = GUMBEL_SCALE * math.log(member.weight)
        best[member.places] = np.maximum(best[member.places], surprises + odds)
        above = np.logaddexp(surprises, _NOT_FOUND) - _NOT_FOUND
        total[member.places] += share * above
    if size == 1:
        return best
    found = np.flatnonzero(best > -np.inf)
    # Stable, so that rows of equal sums stay in order of their ids.
    places = found[np.argsort(-total[found], kind="stable")]
    variance = (1 - _CORRELATION) * float(shares @ shares) + _CORRELATION * size**2
    expected = -size * _NOT_FOUND - (size - 1) * _APART
    together = (total[places] - expected) / math.sqrt(variance) + GUMBEL_SCALE * math.log(usual)
    # Both fall from place to place, so that a higher surprise lowers nobody's own level.
    best[places] = np.maximum(together, np.sort(best[found])[::-1] - _ALONE * math.log2(size))
    return best


def _unit_range(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scaled to 0..1 within the ranking; all 1 where they are all equal."""
    values = similarities.astype(np.float64)
    if len(values) == 0 or values.min() == values.max():
        return np.ones(len(values))
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low), dtype=np.float64)
