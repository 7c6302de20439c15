"""Results of an evaluation: means with intervals, by fusion, modality and measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trawl.ranking import Method

DEFAULT: Method = "calibrated"
"""The fusion that the others are compared with."""

RERANKED = "reranked"
"""The name of the default fusion's list after reranking."""

ALL = "all"
"""The group of all questions, whatever the modality of their answers."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over questions with its bootstrap confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside the interval: a difference is then significant."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one fusion or single source.

    `group` is `ALL`, or the modality of the expected answers. `difference` is the paired
    difference from the default fusion; None for the default itself.
    """

    fusion: str
    group: str
    measure: str
    value: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class Half:
    """The measures of one half of the questions, with weights of 1 and with fitted weights."""

    name: str
    questions: int
    default: Mapping[str, Interval]
    tuned: Mapping[str, Interval]
    gain: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Weights by source, fitted on one half of the questions and tested on the other."""

    weights: Mapping[str, float]
    fitted_on: Half
    held_out: Half


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one run.

    `k` is the number of results that were measured. `level` is the level of the intervals,
    from `resamples` bootstrap resamples with `seed`. `weights` are the weights of the
    fusions. `groups` is the number of questions per group. `notices` are warnings.
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
        """Return one figure. Raises `KeyError` if it does not exist."""
        for figure in self.figures:
            if (figure.fusion, figure.measure, figure.group) == (fusion, measure, group):
                return figure
        raise KeyError((fusion, measure, group))
