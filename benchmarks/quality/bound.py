"""An upper bound for any score in the half-and-half experiment.

A logistic regression is trained, with the answers known, to distinguish lists of pictures (or
texts) that contain the answer from lists whose answer was removed: trained on halves 0 to 4,
tested on 5 to 9. It then competes with itself: a list with the answer against the list of another
query without one. A score computed from the same features can exceed it only by what a linear
model cannot express.
"""

from __future__ import annotations

import numpy as np
from half_and_half import Pool
from numpy.typing import NDArray
from scipy.optimize import minimize

from common import area_under_curve, shopsphere, table

Floats = NDArray[np.float64]

TRAINED, TESTED = range(5), range(5, 10)
FEATURES = {
    "the best similarity": slice(0, 1),
    "the 20 best, mean and spread of all": slice(0, 10),
    "and the similarity of the best to other queries": slice(0, 14),
}


def features(pool: Pool, removed: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the features of each query's list, [Q, 14], and whether its best is the answer."""
    similarities = (pool.queries @ pool.answers.T).astype(np.float64)
    own = np.arange(len(similarities))
    if removed:
        similarities[own, own] = np.nan
    ordered = -np.sort(-similarities, axis=1)
    candidate = np.nanargmax(similarities, axis=1)
    # Similarities of the candidate to other queries.
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


def fit(present: Floats, removed: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, spread and weights (the last is the constant) of a logistic regression."""
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
        pools = [Pool(data, seed, asking) for seed in (*TRAINED, *TESTED)]
        present = [features(pool, removed=False) for pool in pools]
        removed = [features(pool, removed=True)[0] for pool in pools]
        lines = []
        for name, columns in FEATURES.items():
            mean, spread, weights = fit(
                np.vstack([present[i][0][:, columns] for i in TRAINED]),
                np.vstack([removed[i][:, columns] for i in TRAINED]),
            )
            figures = []
            for i in TESTED:
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
            f"Query: {asking}. Trained with known answers, on:",
            ["AUC, answers' modality only", "R@1, mixed", "AUC, mixed"],
            lines,
        )


if __name__ == "__main__":
    main()
