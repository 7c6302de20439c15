"""Measures of lists by ir-measures, and their confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trawl.errors import UsageError
from trawl.evaluation.figures import Interval

Grades = Mapping[str, int]
"""Answers of one question: a grade above 0 by the answer's key."""

Values = NDArray[np.float64]
"""float64 [Q, M]: a value for each question and measure."""

RESAMPLES = 10_000
LEVEL = 0.95

# Resamples at once: so many numbers of counts are held in memory.
_COUNTS_AT_ONCE = 20_000_000


def measure_names(k: int) -> tuple[str, ...]:
    """Name what is measured of the first `k` places."""
    return (f"nDCG@{k}", f"recall@{k}", f"MRR@{k}")


def measure(lists: Sequence[Sequence[str]], answers: Sequence[Grades], k: int) -> Values:
    """Give [Q, 3]: nDCG, recall and reciprocal rank of each question's first `k` places.

    nDCG takes grades as gains (Järvelin and Kekäläinen 2002); for the others every grade
    above 0 is an answer. A question without an answer is worth 0. Raises `UsageError`
    where ir-measures is not installed.
    """
    try:
        import ir_measures
        from ir_measures import RR, R, nDCG
    except ImportError as error:
        raise UsageError(
            f"measuring takes the package ir-measures ({error}); "
            "install it with: pip install 'trawl-multimodal[eval]'"
        ) from error
    asked = [nDCG @ k, R @ k, RR @ k]
    column = {str(each): number for number, each in enumerate(asked)}
    # Places become falling scores: equal ones would be put in another order there.
    run = {
        str(row): {key: float(-place) for place, key in enumerate(found[:k])}
        for row, found in enumerate(lists)
    }
    qrels = {str(row): dict(graded) for row, graded in enumerate(answers)}
    values = np.zeros((len(lists), len(asked)))
    for found in ir_measures.iter_calc(asked, qrels, run):
        values[int(found.query_id), column[str(found.measure)]] = found.value
    return values


def resample(questions: int, seed: int, resamples: int = RESAMPLES) -> NDArray[np.uint16]:
    """Draw [B, Q]: how often each question is in each of B resamples of Q questions."""
    counts = np.random.default_rng(seed).multinomial(
        questions, np.full(questions, 1 / questions), size=resamples
    )
    return counts.astype(np.uint16)


def intervals(values: Values, seed: int, *, resamples: int = RESAMPLES) -> list[Interval]:
    """Give the mean of each column and its percentile bootstrap interval (Efron 1979).

    `values` is [Q, M]. Questions are resampled, the same for all columns; the mean of a
    difference of columns therefore has an interval of its own as a column of differences.
    """
    questions = len(values)
    step = max(1, _COUNTS_AT_ONCE // max(1, questions))
    means = [
        resample(questions, seed + start, min(step, resamples - start)) @ values / questions
        for start in range(0, resamples, step)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    mean = values.mean(axis=0)
    return [
        Interval(float(mean[column]), float(low[column]), float(high[column]))
        for column in range(values.shape[1])
    ]
