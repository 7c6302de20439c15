"""Weights of sources: fitted on half of the questions, and held against the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trawl.errors import UsageError
from trawl.evaluation.candidates import Candidates, Judged
from trawl.evaluation.figures import DEFAULT, Half, Interval, Tuning
from trawl.evaluation.measures import Values, intervals, measure, measure_names

# Wide, since a few hundred questions tell no finer ones apart; 0 silences a source.
_STEPS = (0.0, 0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.5, 4.0)
_ROUNDS = 3
_FEWEST = 10

Weights = Mapping[str, float]


def tune(candidates: Sequence[Candidates], judged: Sequence[Judged], k: int, seed: int) -> Tuning:
    """Fit the calibrated fusion's weights to the mean nDCG of a random half.

    One weight after the other goes to where nDCG is highest, from 1 on, until a round
    changes none. Raises `UsageError` for fewer than 10 questions, and for one source.
    """
    check_enough(len(candidates))
    sources = sorted({source for each in candidates for source in each.sources})
    if len(sources) < 2:
        raise UsageError(f"there is one source alone, {sources[0]}, and so no weight to fit")
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
    """Raise `UsageError` where there are too few questions to fit anything on half of them."""
    if questions < _FEWEST:
        raise UsageError(
            f"{questions} questions are too few to fit weights on half of them; "
            f"there must be {_FEWEST}"
        )


class _Search:
    """Measures weights on some of the questions, whose sources have been asked already."""

    def __init__(self, candidates: Sequence[Candidates], judged: Sequence[Judged], k: int) -> None:
        self._candidates, self._judged, self._k = candidates, judged, k

    def values(self, members: Sequence[int], weights: Weights) -> Values:
        """Give [Q, M] of the calibrated fusion with these weights."""
        # Deep enough that the first k are all there.
        lists = [self._candidates[i].by_fusion(DEFAULT, weights, depth=self._k) for i in members]
        return measure(lists, [self._judged[i].grades for i in members], self._k)

    def best(self, members: Sequence[int], sources: Sequence[str]) -> dict[str, float]:
        """Give the weights with the highest mean nDCG that the steps lead to."""
        weights = dict.fromkeys(sources, 1.0)
        reached = float(self.values(members, weights)[:, 0].mean())
        for _ in range(_ROUNDS):
            before = dict(weights)
            for source in sources:
                for step in _STEPS:
                    tried = weights | {source: step}
                    if step == weights[source] or not any(tried.values()):
                        continue
                    found = float(self.values(members, tried)[:, 0].mean())
                    # A gain in the sixth place is none.
                    if found > reached + 1e-6:
                        reached, weights = found, tried
            if weights == before:
                break
        return weights

    def half(self, name: str, members: Sequence[int], weights: Weights, seed: int) -> Half:
        """Give the figures of one half, with weights of 1 and with those fitted."""
        default, tuned = self.values(members, {}), self.values(members, weights)
        found = intervals(np.concatenate([default, tuned, tuned - default], 1), seed)
        names = measure_names(self._k)

        def part(number: int) -> dict[str, Interval]:
            start = number * len(names)
            return dict(zip(names, found[start : start + len(names)], strict=True))

        return Half(name, len(members), part(0), part(1), part(2))
