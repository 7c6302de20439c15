"""Make the similarities of one source comparable with those of every other.

A cosine of 0.3 is high between a text and a picture and usual between two texts; a BM25
score of 12 is high or low depending on the query. What compares is the *surprise*: how far
a similarity lies above the best that this source shows for queries it does not answer.

* 0: the best similarity that chance brings;
* 1: one standard deviation of that best above it, and so on.

See ``docs/ranking.md`` for the formulas and their evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from trawl import maxsim
from trawl.types import Modality, Ranking

Floats = NDArray[np.float32]

# A null measured on the library's own vectors is trusted in proportion to its sample, up to
# this size: in a small library most of them have near relatives.
_FULL_TRUST = 150

# A null needs this many similarities per query, without those of the query's own document.
_FEWEST = 8

# The gap between best and second best that still counts, in mean gaps between second and
# third; 2 is the expectation for exponential tails. A wider one is a query with an answer.
_WIDEST_GAP = 1.5

# The weight of theory in the spread of a measured null, in queries.
_SPREAD_PRIOR_QUERIES = 10

# Similarities whose distance to 1 is below this share of the distance that chance reaches are
# copies; an exact copy gains this much surprise.
_COPY_DISTANCE, _COPY_SURPRISE = 0.15, 12.0

_EULER = 0.5772156649
GUMBEL_SCALE = math.sqrt(6) / math.pi
"""The scale of a Gumbel distribution with standard deviation 1: 0.78."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Mean and standard deviation of the similarities of unrelated pairs, from a model's card."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Null:
    """The best of `size` similarities for queries without an answer: mean and spread.

    `growth` is what the mean gains for each factor e by which a source is larger than `size`.
    `trust`, 0 to 1, is the weight of the null against a `Prior`.
    """

    best: float
    std: float
    growth: float
    size: int
    trust: float = 1.0

    def blended(self, other: Null) -> Null:
        """Return the mean of this null and `other`, which counts by its trust."""
        share = other.trust

        def mean(ours: float, theirs: float) -> float:
            return (1 - share) * ours + share * theirs

        best, std = mean(self.best, other.best), mean(self.std, other.std)
        return Null(best, std, mean(self.growth, other.growth), self.size)


def joined_null(parts: Sequence[tuple[Null, int]]) -> Null:
    """Return the null of several libraries together, from each one's null and size.

    The best of a library is a Gumbel variable, whose scale is the growth. The best of all is the
    largest of these, which is one too: its location is scale * ln(sum of exp(location / scale)).
    """
    sizes = np.array([size for _, size in parts], np.float64)
    shares = sizes / sizes.sum()
    growth = float(shares @ [null.growth for null, _ in parts])
    bests = np.array([null.best + null.growth * math.log(size / null.size) for null, size in parts])
    best = float(bests.max())
    if growth > 0:
        best += growth * math.log(float(np.exp((bests - best) / growth).sum()))
    return Null(
        best=best,
        std=float(shares @ [null.std for null, _ in parts]),
        growth=growth,
        size=int(sizes.sum()),
        trust=min(1.0, sum(null.trust for null, _ in parts)),
    )


def calibrate(
    ranking: Ranking,
    null: Null | None = None,
    *,
    prior: Prior | None = None,
    query_words: int = 0,
    copies: bool = False,
    odds: float = 0.0,
) -> Floats:
    """Return the surprise of each candidate: float32 [K], in the order of the ranking.

    Without `null` and `prior`, the ranking is taken for BM25's; `query_words` is then the
    number of distinct words of the query. With `copies`, similarities near 1 mean that
    query and candidate are the same thing.
    """
    if len(ranking.rows) == 0:
        return np.zeros(0, dtype=np.float32)
    similarities = ranking.similarities.astype(np.float64)
    if null is None and prior is None:
        surprises = _by_words(ranking, query_words)
    else:
        expected, deviation = _expected_best(max(ranking.searched, len(ranking.rows)), null, prior)
        surprises = (similarities - expected) / max(deviation, 1e-6 * max(1.0, abs(expected)))
        if copies and expected < 1:
            distance = (1 - similarities) / (_COPY_DISTANCE * (1 - expected))
            surprises += _COPY_SURPRISE * np.maximum(0.0, 1 - np.maximum(0.0, distance))
        surprises += odds
    return np.asarray(surprises, dtype=np.float32)


def _expected_best(searched: int, null: Null | None, prior: Prior | None) -> tuple[float, float]:
    """Return mean and standard deviation of the best similarity without an answer."""
    expected = deviation = trust = 0.0
    if null is not None:
        trust = null.trust if prior is not None else 1.0
        expected = trust * (null.best + null.growth * math.log(searched / null.size))
        deviation = trust * null.std
    if prior is not None and trust < 1:
        best, spread = best_of_normal(searched)
        expected += (1 - trust) * (prior.mean + best * prior.std)
        deviation += (1 - trust) * spread * prior.std
    return expected, deviation


@lru_cache(maxsize=4096)
def best_of_normal(size: int) -> tuple[float, float]:
    """Return mean and standard deviation of the largest of `size` standard normal values.

    By the Gumbel limit: Coles, An Introduction to Statistical Modeling of Extreme
    Values (2001), 3.1.
    """
    size = max(size, 2)
    normal = NormalDist()
    centre = normal.inv_cdf(1 - 1 / (size + 1))
    scale = normal.inv_cdf(1 - 1 / (math.e * size + 1)) - centre
    return centre + _EULER * scale, scale / GUMBEL_SCALE


# How much of the difference between the usual surprises of answers is made up for, and the
# range of what the intent of a query counts. A query that is about no picture and no sound
# may be about nothing in the library, so it does not raise texts.
_ODDS_SHARE, _LEAST_INTENT = 0.2, -2.0
_MOST_INTENT: Mapping[Modality, float] = {"text": 0.0, "image": 1.0, "audio": 1.0}


def answer_odds(
    nulls: Mapping[Modality, Null],
    answers: Mapping[Modality, float],
    intent: Mapping[Modality, float],
) -> dict[str, float]:
    """Return how much the levels of each modality are raised for one query.

    `answers` is the usual similarity of an answer and `intent` the log of how much more
    likely than chance the query is about the modality. Where answers usually stand out
    less (photos against sounds), a given surprise is better evidence.
    """
    usual = {
        modality: (answer - nulls[modality].best) / max(nulls[modality].std, 1e-6)
        for modality, answer in answers.items()
        if modality in nulls
    }
    mean = sum(usual.values()) / len(usual) if usual else 0.0
    return {
        modality: min(max(intent.get(modality, 0.0), _LEAST_INTENT), _MOST_INTENT[modality])
        - _ODDS_SHARE * (usual.get(modality, mean) - mean)
        for modality in nulls
    }


# --- words ---------------------------------------------------------------------------

_TAIL = 50
_OUTLIERS = 3

# The best share of a query's information that a stranger among n texts holds is about
# 0.055 ln(n / 3). The surprise is linear in the share to this power, in units of `_SHARE_STD`.
_SHARE_GROWTH, _SHARE_SIZE = 0.055, 3.0
_SHARE_POWER, _SHARE_STD = 1.5, 0.12


def _by_words(ranking: Ranking, query_words: int) -> NDArray[np.float64]:
    """Return the surprises of a BM25 ranking: float64 [K].

    A long ranking is judged by its own tail, a short one by the share of the query's
    information that a chunk holds, and one in between by both.
    """
    trust = min(1.0, len(ranking.rows) / _TAIL) if query_words else 1.0
    surprises = np.zeros(len(ranking.rows))
    if trust > 0:
        surprises += trust * _by_own_tail(ranking.similarities.astype(np.float64))
    if trust < 1:
        surprises += (1 - trust) * _by_share(ranking, query_words)
    return surprises


def _by_share(ranking: Ranking, query_words: int) -> NDArray[np.float64]:
    """Judge scores by the share of the query's information that a chunk holds.

    A word that one chunk alone holds is worth ln(1 + n / 1.5) in BM25 at usual length and
    frequency; the query is worth at most that for each of its words.
    """
    size = max(ranking.searched, len(ranking.rows), 2)
    share = ranking.similarities.astype(np.float64) / (query_words * math.log(1 + size / 1.5))
    expected = _SHARE_GROWTH * math.log(max(size / _SHARE_SIZE, 1.0))
    # A word in more than half of a few chunks has a negative weight.
    held = np.clip(share, 0.0, 1.5) ** _SHARE_POWER
    return np.asarray((held - expected**_SHARE_POWER) / _SHARE_STD)


def _by_own_tail(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Judge scores, descending, by the tail of the first 50.

    The excess over the 50th score is taken as exponential: the best of m such values is
    Gumbel about ln m. The scale is Weissman's (Estimation of Parameters and Large
    Quantiles Based on the k Largest Observations, JASA 1978) without the three largest,
    which may be answers.
    """
    size = min(len(scores), _TAIL)
    excess = scores - scores[size - 1]
    tail = excess[:size]
    skip = min(_OUTLIERS, size // 5)
    scale = float(skip * tail[skip] + tail[skip:].sum()) / max(size - 1 - skip, 1)
    scale = max(scale, float(tail.sum()) / (4 * size))
    if scale <= 1e-6 * max(1.0, abs(float(scores[0]))):
        return np.full(len(scores), -_EULER * GUMBEL_SCALE)
    return np.asarray((excess / scale - math.log(size) - _EULER) * GUMBEL_SCALE)


# --- queries without an answer -----------------------------------------------------------


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
    parts: int = 1,
    query_groups: NDArray[np.int64] | None = None,
    sample_groups: NDArray[np.int64] | None = None,
) -> Null | None:
    """Measure the best similarity that a source shows for queries without an answer.

    `queries` is float32 [Q, D]: a model's question bank, or vectors of the library itself
    with their documents as `query_groups`; `sample` is float32 [M, D]: the source's
    vectors, or a random sample; `parts` is that of their space. Pairs of one group and pairs
    of equal vectors are left out. Return None if too little is left: for the library's own
    vectors 8 queries with 8 similarities each.

    The growth with the size n of the source is the mean gap g between best and second
    best, since E[best of n] - E[best of n-1] = g / n.
    """
    if len(queries) == 0 or len(sample) == 0:
        return None
    similarities = np.asarray(maxsim.similarities(queries, sample, parts), dtype=np.float64)
    own = query_groups is not None and sample_groups is not None
    fewest = 1
    if query_groups is not None and sample_groups is not None:
        similarities[query_groups[:, None] == sample_groups[None, :]] = np.nan
        fewest = _FEWEST
    similarities[similarities > 1 - 1e-6] = np.nan
    similarities = similarities[np.isfinite(similarities).sum(axis=1) >= fewest]
    if len(similarities) < _FEWEST:
        return None
    sizes = np.isfinite(similarities).sum(axis=1)
    size = round(float(sizes.mean()))
    # NaN sorts last, and so stays last when what is sorted is negative.
    ordered = -np.sort(-similarities, axis=1)
    best, growth = ordered[:, 0], 0.0
    if ordered.shape[1] > 2 and sizes.min() > 2:
        second, third = ordered[:, 1], ordered[:, 2]
        best = np.minimum(best, second + _WIDEST_GAP * float((second - third).mean()))
        growth = float((best - second).mean())
    std = float(np.nanmean(np.nanstd(similarities, axis=1))) if size > 1 else float(best.std())
    theory = best_of_normal(size)[1] * std
    total = float(((best - best.mean()) ** 2).sum()) + _SPREAD_PRIOR_QUERIES * theory**2
    return Null(
        best=float(best.mean()),
        std=math.sqrt(total / (len(best) + _SPREAD_PRIOR_QUERIES)),
        growth=growth,
        size=size,
        trust=min(1.0, size / _FULL_TRUST) if own else 1.0,
    )
