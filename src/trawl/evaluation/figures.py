"""What an evaluation found: means with their intervals, by fusion, modality and measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trawl.ranking import Method

DEFAULT: Method = "calibrated"
"""What the others are compared with."""

RERANKED = "reranked"
"""The default fusion's list in the order of a reranker."""

ALL = "all"
"""The group of all questions, whatever the modality of their answers."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over questions, and the ends of its bootstrap confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside: for a difference, that it is significant."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One fusion, or one source alone, by one measure.

    `group` is `ALL`, or the modality of the answers that are looked for. `difference` is
    this less the default fusion, question by question; None for the default itself.
    """

    fusion: str
    group: str
    measure: str
    value: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class Half:
    """Half of the questions: each measure with weights of 1, with those fitted, and the gain."""

    name: str
    questions: int
    default: Mapping[str, Interval]
    tuned: Mapping[str, Interval]
    gain: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Weights by source, fitted on one half of the questions and held against the other."""

    weights: Mapping[str, float]
    fitted_on: Half
    held_out: Half


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one run. `groups` tells how many questions are in each.

    `level` is that of the intervals, from `resamples` resamples drawn with `seed`;
    `k` is how much of the lists was looked at; `weights` are those that fusions were
    given. `notices` tell what was not as it should be.
    """

    questions: int
    k: int
    seed: int
    level: float
    resamples: int
    weights: Mapping[str, float]
    groups: Mapping[str, int]
    fusions: tuple[str, ...]
    measures: tuple[str, ...]
    figures: tuple[Figure, ...]
    tuning: Tuning | None = None
    notices: tuple[str, ...] = ()

    def figure(self, fusion: str, measure: str, group: str = ALL) -> Figure:
        """Give one figure. Raises `KeyError` where there is none such."""
        for found in self.figures:
            if (found.fusion, found.measure, found.group) == (fusion, measure, group):
                return found
        raise KeyError((fusion, measure, group))
