"""The fused list of a search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from trawl.types import Evidence

# A score of this is likely enough to be listed, and so is this share of the best score.
_LIKELY, _LIKELY_SHARE = 0.1, 0.25

GOOD_MATCH = 0.2
"""Below this confidence, the score of the best hit, there is no good match."""


@dataclass(frozen=True, slots=True)
class Fused:
    """One row of the fused list.

    `evidence_of` returns the evidence of each source that returned the row, and `further` is
    evidence besides. Most rows are never shown, so that it is called when needed.
    """

    row: int
    score: float
    evidence_of: Callable[[int], tuple[Evidence, ...]] = lambda row: ()
    further: tuple[Evidence, ...] = ()

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All evidence for the row."""
        return self.evidence_of(self.row) + self.further


class Fusion(Sequence[Fused]):
    """The fused list, best first. `Fused` items are created on access.

    `rows` is int64 [R] and `scores` float64 [R], descending; `confidence` is the
    probability, 0..1, that the library answers the query; `evidence_of` returns the
    evidence for a row. `by_probability` is true if scores are probabilities.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float64],
        confidence: float,
        evidence_of: Callable[[int], tuple[Evidence, ...]],
        by_probability: bool = True,
    ) -> None:
        self.rows = rows
        self.scores = scores
        self.confidence = confidence
        self.evidence_of = evidence_of
        self.by_probability = by_probability

    @property
    def no_good_match(self) -> bool:
        """Whether nothing stands out from chance."""
        return self.confidence < GOOD_MATCH

    @property
    def least_likely(self) -> float:
        """The lowest score of a row that is likely enough to be listed."""
        if not self.by_probability or len(self.scores) == 0:
            return -math.inf
        return min(_LIKELY, _LIKELY_SHARE * float(self.scores[0]))

    def likely(self) -> Fusion:
        """Return the list without the rows that are unlikely to match."""
        count = int(np.count_nonzero(self.scores >= self.least_likely))
        return Fusion(
            self.rows[:count],
            self.scores[:count],
            self.confidence,
            self.evidence_of,
            self.by_probability,
        )

    def among(self, rows: NDArray[np.int64]) -> Fusion:
        """Return the list without all rows but `rows`."""
        kept = np.isin(self.rows, rows)
        return Fusion(
            self.rows[kept],
            self.scores[kept],
            self.confidence,
            self.evidence_of,
            self.by_probability,
        )

    def followed_by(self, further: Fusion) -> Fusion:
        """Return this list with the other rows of `further` appended, scores kept descending."""
        more = ~np.isin(further.rows, self.rows)
        last = self.scores[-1] if len(self.scores) else np.inf
        return Fusion(
            np.concatenate([self.rows, further.rows[more]]),
            np.concatenate([self.scores, np.minimum(further.scores[more], last)]),
            self.confidence,
            further.evidence_of,
            self.by_probability,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Fused: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fused]: ...
    def __getitem__(self, index: int | slice) -> Fused | list[Fused]:
        if isinstance(index, slice):
            pairs = zip(self.rows[index].tolist(), self.scores[index].tolist(), strict=True)
            return [Fused(row, score, self.evidence_of) for row, score in pairs]
        return Fused(int(self.rows[index]), float(self.scores[index]), self.evidence_of)

    def __iter__(self) -> Iterator[Fused]:
        return (self[i] for i in range(len(self)))
