"""Make the similarities of one source comparable with those of every other.

A cosine of 0.3 is a bull's eye between a text and a picture and noise between two
texts; a BM25 score of 12 is much or little depending on the query. What compares is
how *surprising* a similarity is: for this query, in this source, given how many chunks
were searched. `calibrate` says that in one unit for all sources:

* 0: what the best chunk would reach if the source held no answer;
* 1: one standard deviation of that above it, and so on.

``docs/ranking.md`` tells how the formulas were chosen and what they were measured
against.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from trawl.types import Ranking

Floats = NDArray[np.float32]

# The level of a background is read off its upper tenth, without the uppermost fiftieth,
# which may be answers. `_NORMAL_LEVEL` is the mean of that stretch of a standard normal
# distribution: (phi(1.2816) - phi(2.0537)) / 0.08.
_UPPER, _UPPERMOST = 0.10, 0.02
_NORMAL_LEVEL = 1.5885

# A background of so many similarities is believed about its own upper tenth; a smaller
# one in part, and for the rest its mean and standard deviation.
_FULL_TRUST = 400

# A null that was measured on so many chunks is believed, on fewer in part.
_NULL_TRUST = 150

# A null is measured on at least so many queries, of at least so many similarities each.
_FEWEST = 8

# The gap between best and second best that still counts, in mean gaps between second and
# third; 2 is the expectation for exponential tails.
_WIDEST_GAP = 1.5

# Theory's part in a measured null, counted in queries (see `measure_null`).
_SLOPE_PRIOR, _SLOPE_PRIOR_QUERIES = 0.8, 20
_LEVEL_PRIOR_QUERIES = 5
_SPREAD_PRIOR_QUERIES = 10

# How much of the measured slope is believed. Where a query's background lies high there
# is also more that answers it, and with the whole slope the answers are taken for chance.
_SLOPE_SHARE = 0.85

# A source has something if its best stands above chance, and above its tenth best.
_RUNNER_UP, _RUNNER_UP_SHARE = 10, 0.4

_EULER = 0.5772156649
GUMBEL_SCALE = math.sqrt(6) / math.pi
"""The scale of a Gumbel distribution whose standard deviation is 1: 0.78."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What similarities between strangers look like in one source of one model.

    It stands on the model's card and counts as much as `strength` observed
    similarities, so that a library of ten chunks is judged by the model's experience
    and a library of a thousand by its own.
    """

    mean: float
    std: float
    strength: float = 12.0


@dataclass(frozen=True, slots=True)
class Null:
    """What the best of `size` chunks reaches for queries that have no answer here.

    That is `best` on the average, give or take `best_std`, over queries whose backgrounds
    have the average level `level`. A query whose background has the level l can expect
    ``best + slope * (l - level)``, give or take `std`. It is `growth` more for each factor
    e by which the source is larger than `size`. All but the slope are in the unit of the
    similarities. `measure_null` measures one on the library's own vectors.
    """

    best: float
    best_std: float
    level: float
    slope: float
    std: float
    growth: float
    size: int


@dataclass(frozen=True, slots=True)
class Background:
    """Similarities of this query to a random sample of the source's own vectors.

    `similarities` is float32 [M], in any order; M may be 0. `null` says what the source
    gives to queries without an answer; without one the normal distribution's law is
    taken.
    """

    similarities: Floats
    null: Null | None = None


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a ranking's similarities are worth.

    `surprises` is float32 [K], in the order of the ranking: 0 is the best that chance
    would bring, 1 a standard deviation above it. `standing` says in the same unit
    whether the source has anything at all: how far its best stands above chance,
    whatever the query's level, and above the tenth best. -inf for an empty ranking.
    """

    surprises: Floats
    standing: float


def calibrate(
    ranking: Ranking, background: Background | None = None, *, prior: Prior | None = None
) -> Calibrated:
    """How surprising each candidate is, and the whole source.

    A ranking with neither background nor prior, such as BM25's, is judged by its own
    tail.
    """
    if len(ranking.rows) == 0:
        return Calibrated(np.zeros(0, dtype=np.float32), -math.inf)
    sample = np.zeros(0, np.float32) if background is None else background.similarities
    if len(sample) == 0 and prior is None:
        own = _by_own_tail(ranking)
        return Calibrated(own, _standing(own, ranking.searched, 0.0, 1.0))
    centre, std, level = _moments(sample, prior)
    searched = max(ranking.searched, len(ranking.rows))
    null = background.null if background is not None else None
    best, spread = best_of_normal(searched)
    expected, deviation = centre + best * std, spread * std
    any_expected, any_deviation = expected, deviation
    if null is not None:
        # In a small library most chunks have near relatives, so that what was measured on
        # its own excerpts holds answers; it is believed as its sample grows.
        trust = min(1.0, null.size / _NULL_TRUST)
        measured = null.best + null.growth * math.log(searched / null.size)
        any_expected += trust * (measured - expected)
        any_deviation += trust * (null.best_std - deviation)
        expected += trust * (measured + null.slope * (level - null.level) - expected)
        deviation += trust * (null.std - deviation)
    least = 1e-6 * max(1.0, abs(expected))
    surprises = (ranking.similarities.astype(np.float64) - expected) / max(deviation, least)
    standing = _standing(ranking.similarities, searched, any_expected, max(any_deviation, least))
    return Calibrated(np.asarray(surprises, dtype=np.float32), standing)


def _standing(similarities: Floats, searched: int, expected: float, deviation: float) -> float:
    """How far the best stands above what is expected, and in part above the tenth.

    In a source of less than 200 chunks the tenth is far down: there it is one higher up.
    """
    place = min(_RUNNER_UP, max(5, searched // 20))
    best, runner_up = float(similarities[0]), float(similarities[:place][-1])
    return (best - expected + _RUNNER_UP_SHARE * (best - runner_up)) / deviation


def _moments(sample: Floats, prior: Prior | None) -> tuple[float, float, float]:
    """Mean, standard deviation and level of a background, a prior mixed in."""
    count = len(sample)
    mean = float(sample.mean(dtype=np.float64)) if count else 0.0
    std = float(sample.std(dtype=np.float64)) if count else 0.0
    if prior is not None:
        total = count + prior.strength
        std = math.sqrt((count * std**2 + prior.strength * prior.std**2) / total)
        mean = (count * mean + prior.strength * prior.mean) / total
    level = mean + _NORMAL_LEVEL * std
    first, last = _stretch(count)
    if last > first:
        low, high = count - last, count - first
        tail = float(np.partition(sample, (low, high))[low:high].mean(dtype=np.float64))
        level += min(1.0, count / _FULL_TRUST) * (tail - level)
    return mean, std, level


def _stretch(count: int) -> tuple[int, int]:
    """Where the stretch that makes the level begins and ends, best first, of `count`."""
    return max(1, round(count * _UPPERMOST)), round(count * _UPPER)


@lru_cache(maxsize=4096)
def best_of_normal(size: int) -> tuple[float, float]:
    """Mean and standard deviation of the largest of `size` standard normal values.

    By the Gumbel limit: Coles, An Introduction to Statistical Modeling of Extreme
    Values (2001), 3.1.
    """
    size = max(size, 2)
    normal = NormalDist()
    centre = normal.inv_cdf(1 - 1 / (size + 1))
    scale = normal.inv_cdf(1 - 1 / (math.e * size + 1)) - centre
    return centre + _EULER * scale, scale / GUMBEL_SCALE


# --- words ---------------------------------------------------------------------------

_TAIL = 50
_FEW = 20
_OUTLIERS = 3


def _by_own_tail(ranking: Ranking) -> Floats:
    """Judge a ranking without background, such as BM25's, by its own tail.

    The excess over the 50th score is taken as exponential: the best of m such values is
    Gumbel about ln m. The scale is Weissman's (Estimation of Parameters and Large
    Quantiles Based on the k Largest Observations, JASA 1978) without the three largest,
    which may be answers. A short ranking is surprising for being short: few chunks hold
    any of the query's words.
    """
    scores = ranking.similarities.astype(np.float64)
    size = min(len(scores), _TAIL)
    excess = scores - scores[size - 1]
    tail = excess[:size]
    skip = min(_OUTLIERS, size // 5)
    scale = float(skip * tail[skip] + tail[skip:].sum()) / max(size - 1 - skip, 1)
    scale = max(scale, float(tail.sum()) / (4 * size))
    few = min(float(_FEW), max(ranking.searched, 1) / 2)
    rarity = max(0.0, math.log(few / len(scores)))
    surprise = np.zeros_like(scores)
    if scale > 1e-6 * max(1.0, abs(float(scores[0]))):
        surprise = excess / scale - math.log(size)
    return np.asarray((surprise - _EULER) * GUMBEL_SCALE + rarity, dtype=np.float32)


# --- what a library gives to queries without an answer ---------------------------------


def excerpts(texts: Sequence[str], *, words: int = 10, seed: int = 0) -> list[str]:
    """Return `words` consecutive words of each text, from a random place; repeatable.

    They stand for the short queries that people type. Whole passages are nearer to one
    another, and would put the null about a standard deviation too high (docs/ranking.md).
    """
    random = np.random.default_rng(seed)
    cut = []
    for text in texts:
        split = text.split()
        start = int(random.integers(0, max(1, len(split) - words + 1)))
        cut.append(" ".join(split[start : start + words]))
    return cut


def measure_null(
    queries: Floats,
    sample: Floats,
    *,
    query_groups: NDArray[np.int64] | None = None,
    sample_groups: NDArray[np.int64] | None = None,
) -> Null | None:
    """Measure what a source gives to queries that it holds no answer for.

    `queries` is float32 [Q, D], vectors of the library itself of the modality in which
    people ask; `sample` float32 [M, D] is the source's background sample. Chunks of one
    group (a document) may answer one another, so that such pairs are left out, and so
    are equal vectors. Gives None where too little is left (8 queries of 8 chunks).

    The best similarity is regressed on the background's level over the queries, with
    theory as a prior for small samples. The growth with the size n of the source is the
    mean gap g between best and second best, since E[best of n] - E[best of n-1] = g / n.
    """
    if len(queries) == 0 or len(sample) == 0:
        return None
    similarities = np.asarray(queries @ sample.T, dtype=np.float32)
    hidden = similarities > 1 - 1e-6
    if query_groups is not None and sample_groups is not None:
        hidden |= query_groups[:, None] == sample_groups[None, :]
    usable = (~hidden).sum(axis=1) >= _FEWEST
    if int(usable.sum()) < _FEWEST:
        return None
    similarities[hidden] = np.nan
    return _fit(similarities[usable])


def _fit(similarities: Floats) -> Null:
    """Ridge regression of the best similarity on the level, drawn towards theory.

    `similarities` is float32 [Q, M], NaN where a pair is left out.
    """
    count = len(similarities)
    means = np.asarray(np.nanmean(similarities, axis=1, dtype=np.float64))
    stds = np.asarray(np.nanstd(similarities, axis=1, dtype=np.float64))
    sizes = np.isfinite(similarities).sum(axis=1)
    size = round(float(sizes.mean()))
    # NaN sorts last, and so stays last when what is sorted is negative.
    ordered = -np.sort(-similarities, axis=1).astype(np.float64)
    levels = _levels(ordered, sizes, means, stds)
    # A question that has an answer after all shows a best far above the second: it is
    # cut to what exponential tails let expect, where gaps halve from the best downwards.
    second, third = ordered[:, 1], ordered[:, 2]
    best = np.minimum(ordered[:, 0], second + _WIDEST_GAP * float((second - third).mean()))

    centred = levels - levels.mean()
    variance = float((centred**2).mean())
    slope = _SLOPE_PRIOR
    if variance > 0:
        measured = float((centred * best).mean()) / variance
        slope += count * (measured - _SLOPE_PRIOR) / (count + _SLOPE_PRIOR_QUERIES)
    slope *= _SLOPE_SHARE
    normal_best, normal_spread = best_of_normal(size)
    centre = (
        float(best.sum()) + _LEVEL_PRIOR_QUERIES * float((means + normal_best * stds).mean())
    ) / (count + _LEVEL_PRIOR_QUERIES)
    residual = best - best.mean() - slope * centred
    spread = normal_spread * float(stds.mean())

    def std(deviations: NDArray[np.float64]) -> float:
        total = float((deviations**2).sum()) + _SPREAD_PRIOR_QUERIES * spread**2
        return math.sqrt(total / (count + _SPREAD_PRIOR_QUERIES))

    return Null(
        best=centre,
        best_std=std(best - best.mean()),
        level=float(levels.mean()),
        slope=slope,
        std=std(residual),
        growth=float((best - second).mean()),
        size=size,
    )


def _levels(
    ordered: NDArray[np.float64],
    sizes: NDArray[np.int64],
    means: NDArray[np.float64],
    stds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The levels of the rows of [Q, M], each descending and `sizes` long: float64 [Q]."""
    sums = np.cumsum(ordered, axis=1)
    levels = means + _NORMAL_LEVEL * stds
    for size in np.unique(sizes).tolist():
        first, last = _stretch(size)
        if last > first:
            rows = sizes == size
            tail = (sums[rows, last - 1] - sums[rows, first - 1]) / (last - first)
            levels[rows] += min(1.0, size / _FULL_TRUST) * (tail - levels[rows])
    return levels
