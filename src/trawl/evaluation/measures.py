"""Retrieval measures from ir-measures, and their confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trawl.errors import UsageError
from trawl.evaluation.figures import Interval

Grades = Mapping[str, int]
"""The answers of one question: a grade above 0 by the answer's key."""

Values = NDArray[np.float64]
"""float64 [Q, M]: a value for each question and measure."""

RESAMPLES = 10_000
LEVEL = 0.95

# Bounds the resample counts in memory.
_MAX_COUNTS = 20_000_000


def measure_names(k: int) -> tuple[str, ...]:
    """Return the names of the measures at cutoff `k`."""
    return (f"nDCG@{k}", f"recall@{k}", f"MRR@{k}")


def measure(lists: Sequence[Sequence[str]], answers: Sequence[Grades], k: int) -> Values:
    """Return float64 [Q, 3]: nDCG@k, recall@k and reciprocal rank@k of each question.

    nDCG uses grades as gains (Järvelin and Kekäläinen 2002); the others count every grade
    above 0. A question without answers has the value 0. Raises `UsageError` if ir-measures
    is not installed.
    """
    try:
        import ir_measures
        from ir_measures import RR, R, nDCG
    except ImportError as error:
        raise UsageError(
            f"evaluation requires the package ir-measures ({error}); "
            "install it with: pip install 'trawl-multimodal[eval]'"
        ) from error
    measures = [nDCG @ k, R @ k, RR @ k]
    column = {str(each): number for number, each in enumerate(measures)}
    # Descending scores: ir-measures reorders results with equal scores.
    run = {
        str(row): {key: float(-place) for place, key in enumerate(keys[:k])}
        for row, keys in enumerate(lists)
    }
    qrels = {str(row): dict(graded) for row, graded in enumerate(answers)}
    values = np.zeros((len(lists), len(measures)))
    for result in ir_measures.iter_calc(measures, qrels, run):
        values[int(result.query_id), column[str(result.measure)]] = result.value
    return values


def resample(questions: int, seed: int, resamples: int = RESAMPLES) -> NDArray[np.uint16]:
    """Return uint16 [B, Q], the count of each question in each of B resamples."""
    counts = np.random.default_rng(seed).multinomial(
        questions, np.full(questions, 1 / questions), size=resamples
    )
    return counts.astype(np.uint16)


def intervals(values: Values, seed: int, *, resamples: int = RESAMPLES) -> list[Interval]:
    """Return the mean of each column with its percentile bootstrap interval (Efron 1979).

    `values` is [Q, M]. All columns share the resamples of questions, so a column of paired
    differences has a valid interval too.
    """
    questions = len(values)
    step = max(1, _MAX_COUNTS // max(1, questions))
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
