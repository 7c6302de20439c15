"""How well could any score do in the half-and-half experiment?

A logistic regression is taught, with the answers in hand, to tell the lists of pictures
(or texts) that hold the answer from those whose answer was removed; taught on halves 0
to 4 and tried on 5 to 9. It is then made to compete with itself: a right list against
the list of another query without an answer, as a source that is treated like any other
must. No score that is made from what the regression sees does better than it by more
than what a straight line cannot express.
"""

from __future__ import annotations

import numpy as np
from half_and_half import Pool
from numpy.typing import NDArray
from scipy.optimize import minimize

from common import area_under_curve, shopsphere, table

Floats = NDArray[np.float64]

TAUGHT, TRIED = range(5), range(5, 10)
FEATURES = {
    "the best similarity": slice(0, 1),
    "the 20 best, mean and spread of all": slice(0, 10),
    "and how near the best is to other questions": slice(0, 14),
}


def features(pool: Pool, removed: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """For each query what its answers' modality shows, [Q, 14], and whether the best is right."""
    similarities = (pool.queries @ pool.answers.T).astype(np.float64)
    own = np.arange(len(similarities))
    if removed:
        similarities[own, own] = np.nan
    ordered = -np.sort(-similarities, axis=1)
    candidate = np.nanargmax(similarities, axis=1)
    # The candidate's similarities to other questions of the library.
    back = (pool.rivals @ pool.answers.T).astype(np.float64)
    nearest = -np.sort(-back, axis=0)[:10, candidate].T
    best = ordered[:, :1]
    found = np.hstack(
        [
            best,
            best - ordered[:, [1, 2, 4, 9, 19]],
            ordered[:, 10:60].mean(axis=1, keepdims=True),
            np.nanmean(similarities, axis=1, keepdims=True),
            np.nanstd(similarities, axis=1, keepdims=True),
            np.nanquantile(similarities, 0.9, axis=1, keepdims=True),
            best - nearest[:, :1],
            best - nearest.mean(axis=1, keepdims=True),
            nearest.mean(axis=1, keepdims=True),
            (best < back[:, candidate].T).mean(axis=1, keepdims=True),
        ]
    )
    return found, candidate == own


def taught(present: Floats, removed: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, spread and weights (the last the constant) of a logistic regression."""
    rows = np.vstack([present, removed])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    inputs = np.hstack([(rows - mean) / spread, np.ones((len(rows), 1))])
    sign = np.repeat([1.0, -1.0], [len(present), len(removed)])

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (inputs @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        penalty = weights @ weights / 2
        return float(np.logaddexp(0, -margin).sum() + penalty), inputs.T @ slope + weights

    return mean, spread, minimize(loss, np.zeros(inputs.shape[1]), jac=True).x


def main() -> None:
    data = shopsphere()
    random = np.random.default_rng(0)
    for asking in ("text", "image"):
        pools = [Pool(data, seed, asking) for seed in (*TAUGHT, *TRIED)]
        present = [features(pool, removed=False) for pool in pools]
        removed = [features(pool, removed=True)[0] for pool in pools]
        lines = []
        for name, columns in FEATURES.items():
            mean, spread, weights = taught(
                np.vstack([present[i][0][:, columns] for i in TAUGHT]),
                np.vstack([removed[i][:, columns] for i in TAUGHT]),
            )
            figures = []
            for i in TRIED:
                there, gone = (
                    (rows[:, columns] - mean) / spread @ weights[:-1]
                    for rows in (present[i][0], removed[i])
                )
                right = present[i][1]
                rival, another = random.permutation(gone), random.permutation(gone)
                figures.append(
                    [
                        area_under_curve(there, gone),
                        float((right[:, None] & (there[:, None] > gone[None, :])).mean()),
                        area_under_curve(np.logaddexp(there, rival), np.logaddexp(gone, another)),
                    ]
                )
            lines.append((name, np.mean(figures, axis=0).tolist()))
        table(
            f"Query: {asking}. Taught with the answers in hand, from:",
            ["AUC, answers' modality alone", "R@1, mixed", "AUC, mixed"],
            lines,
        )


if __name__ == "__main__":
    main()
