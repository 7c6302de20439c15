"""Fit the weights of sources on half of the questions, and test them on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trawl.errors import UsageError
from trawl.evaluation.candidates import Candidates, Judged
from trawl.evaluation.figures import DEFAULT, Half, Interval, Tuning
from trawl.evaluation.measures import Values, intervals, measure, measure_names

# Coarse, since a few hundred questions cannot distinguish finer steps; 0 disables a source.
_STEPS = (0.0, 0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.5, 4.0)
_ROUNDS = 3
_MIN_QUESTIONS = 10

Weights = Mapping[str, float]


def tune(candidates: Sequence[Candidates], judged: Sequence[Judged], k: int, seed: int) -> Tuning:
    """Fit the weights of the calibrated fusion to the mean nDCG of a random half.

    Coordinate ascent: starting from 1, each weight in turn is set to the step with the highest
    nDCG, until a round changes none. Raises `UsageError` for fewer than 10 questions or fewer
    than two sources.
    """
    check_enough(len(candidates))
    sources = sorted({source for each in candidates for source in each.sources})
    if len(sources) < 2:
        raise UsageError(f"the only source is {sources[0]}; there is no weight to fit")
    order = np.random.default_rng(seed).permutation(len(candidates))
    fitted, held = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    search = _Search(candidates, judged, k)
    weights = search.best([int(i) for i in fitted], sources)
    return Tuning(
        weights=weights,
        fitted_on=search.half("fitted on", [int(i) for i in fitted], weights, seed),
        held_out=search.half("held out", [int(i) for i in held], weights, seed),
    )


def check_enough(questions: int) -> None:
    """Raise `UsageError` if there are too few questions to fit weights on half of them."""
    if questions < _MIN_QUESTIONS:
        raise UsageError(
            f"{questions} questions are too few to fit weights on half of them; "
            f"at least {_MIN_QUESTIONS} are needed"
        )


class _Search:
    """Measures weights on subsets of the questions, from candidates that are already known."""

    def __init__(self, candidates: Sequence[Candidates], judged: Sequence[Judged], k: int) -> None:
        self._candidates, self._judged, self._k = candidates, judged, k

    def values(self, members: Sequence[int], weights: Weights) -> Values:
        """Return the measures [Q, M] of the calibrated fusion with these weights."""
        # Deep enough for the first k.
        lists = [self._candidates[i].by_fusion(DEFAULT, weights, depth=self._k) for i in members]
        return measure(lists, [self._judged[i].grades for i in members], self._k)

    def best(self, members: Sequence[int], sources: Sequence[str]) -> dict[str, float]:
        """Return the weights that coordinate ascent on the mean nDCG arrives at."""
        weights = dict.fromkeys(sources, 1.0)
        best = float(self.values(members, weights)[:, 0].mean())
        for _ in range(_ROUNDS):
            before = dict(weights)
            for source in sources:
                for step in _STEPS:
                    tried = weights | {source: step}
                    if step == weights[source] or not any(tried.values()):
                        continue
                    score = float(self.values(members, tried)[:, 0].mean())
                    # Ignore rounding differences.
                    if score > best + 1e-6:
                        best, weights = score, tried
            if weights == before:
                break
        return weights

    def half(self, name: str, members: Sequence[int], weights: Weights, seed: int) -> Half:
        """Return the figures of one half, with weights of 1 and with fitted weights."""
        default, tuned = self.values(members, {}), self.values(members, weights)
        means = intervals(np.concatenate([default, tuned, tuned - default], 1), seed)
        names = measure_names(self._k)

        def part(number: int) -> dict[str, Interval]:
            start = number * len(names)
            return dict(zip(names, means[start : start + len(names)], strict=True))

        return Half(name, len(members), part(0), part(1), part(2))
